"""Say what an agent is: it is asked with a history and answers with a stream of events.

An event is one of the Responses API's stream events, as a plain JSON object, with three things left to the
runner, which alone knows what was published and stored: ``sequence_number``, the ids of items, and the events
about the response as a whole (``response.created`` … ``response.completed``). What an agent does say:

* every event about an output item has its ``output_index``, counted from 0 within the answer;
* an item begins with ``response.output_item.added`` and ends with ``response.output_item.done``, whose item is
  the one that is stored. An item without an end is stored as incomplete, with the text that had come;
* an item may carry the ``id`` its maker gave it: it is stored along, but clients see the runner's;
* other events, also of types nobody here knows, are passed on as they are;
* what cannot be shown, stored and put together again is refused (`hansard.agents.grammar`), and ends the answer;
* the last thing said is one `Outcome`. An agent that ends without, or raises, has failed.

A tool that the agent runs itself shows as two items: the call, complete before the tool is called, and its
output. Events are yielded when they happen, not gathered: what was yielded survives what goes wrong later.
Stopping an agent is closing its generator: it gets ``GeneratorExit`` or a cancellation at the place where it
waits, and yields nothing more.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from hansard.models.limits import JsonObject

Event: TypeAlias = JsonObject


@dataclass(frozen=True, slots=True)
class Tool:
    """Describe something an agent may do for the user.

    ``parameters`` is the JSON schema of the arguments. ``call`` is bound to the user already; it returns a
    JSON object, and one with the key ``error`` when the arguments cannot work. It raises only when the turn
    cannot go on.
    """

    name: str
    description: str
    parameters: JsonObject
    call: Callable[[JsonObject], Awaitable[JsonObject]]


@dataclass(frozen=True, slots=True)
class AgentRequest:
    """Hold what an agent is asked.

    ``history`` has the conversation's items in the API's shape, oldest first, ending with the user's new ones.
    ``parameters`` are those of the request (instructions, temperature, the client's own tools, …) as sent;
    ``tools`` are those the agent runs itself.
    """

    model: str
    history: Sequence[JsonObject]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    tools: Sequence[Tool] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """Say how an answer ended; ``usage``, ``error`` and ``incomplete_details`` are the Response's own fields."""

    status: Literal["completed", "failed", "incomplete"]
    usage: JsonObject | None = None
    error: JsonObject | None = None
    incomplete_details: JsonObject | None = None

    @classmethod
    def failed(cls, message: str, *, code: str = "server_error", usage: JsonObject | None = None) -> Outcome:
        """Return the outcome of an answer that went wrong; ``message`` is read by the user."""
        return cls("failed", usage=usage, error={"code": code, "message": message})


class Agent(Protocol):
    """Answer requests; one agent serves many at once, so it keeps nothing between them."""

    def answer(self, request: AgentRequest) -> AsyncGenerator[Event | Outcome, None]:
        """Return the answer as a stream of events that ends with its outcome."""
