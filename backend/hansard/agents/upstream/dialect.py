"""Say what the two APIs have in common: a request to write, and a stream to read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn, Protocol

from hansard.agents.protocol import Event, Outcome, Tool
from hansard.agents.upstream.failure import AnswerFailed
from hansard.models.limits import JsonObject

DONE: Final = "[DONE]"
# What the service settles itself, or what every request of ours says anyway.
OURS: Final = frozenset(
    {"background", "conversation", "input", "metadata", "model", "previous_response_id", "store", "stream"}
)


@dataclass(frozen=True, slots=True)
class Ask:
    """Hold what one round is about: the items so far, the client's parameters, the tools that we run ourselves."""

    model: str
    items: Sequence[JsonObject]
    parameters: Mapping[str, Any]
    tools: Sequence[Tool] = ()


class Reader(Protocol):
    """Read one stream."""

    @property
    def outcome(self) -> Outcome | None:
        """Return how the answer ended, once the stream has said so."""

    @property
    def is_over(self) -> bool:
        """Say whether nothing of interest can follow."""

    def take(self, data: str) -> Iterator[Event]:
        """Yield what an event's data say, items counted from 0; raises `AnswerFailed`."""


class Dialect(Protocol):
    """Be one API."""

    @property
    def path(self) -> str:
        """Return where it is, below the base URL."""

    def body(self, ask: Ask) -> JsonObject:
        """Return the request; raises `AnswerFailed` for what the API cannot say."""

    def reader(self) -> Reader:
        """Return the reader of a new stream."""


def read_event(data: str) -> JsonObject:
    """Return the object in an event's data; raises `AnswerFailed` for anything else."""
    try:
        event = json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        event = None
    if not isinstance(event, dict):
        raise AnswerFailed("The model's server sent an event that is not a JSON object.")
    return event


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
