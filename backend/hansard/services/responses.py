"""Build the Response object of the API from a turn."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeAlias
from uuid import UUID

from hansard.agents.protocol import Outcome
from hansard.models import TurnRead
from hansard.models.limits import JsonObject
from hansard.services.channel import StreamEvent
from hansard.utils.ids import spell
from hansard.utils.json_text import write_json

Status: TypeAlias = Literal["queued", "in_progress", "completed", "failed", "cancelled", "incomplete"]

# The parameters of a request that its response repeats, and what stands there when they were not sent.
DEFAULTS: Mapping[str, Any] = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt": None,
    "prompt_cache_key": None,
    "reasoning": None,
    "safety_identifier": None,
    "service_tier": None,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": None,
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}


_TURN_PARAMETERS = frozenset({"background", "previous_response_id"})
# A cancelled response has no event of its own in the API: it is one that is incomplete, and its status says why.
_FINAL_TYPES = {"completed": "response.completed", "failed": "response.failed"}


class Ending(NamedTuple):
    """Say how a turn ended: what its agent said of it, or what happened to the agent.

    ``cut_at`` is set where the process that ran the turn is gone: the number of the last event it had stored.
    """

    status: Status
    usage: JsonObject | None = None
    error: JsonObject | None = None
    incomplete_details: JsonObject | None = None
    cut_at: int | None = None

    @classmethod
    def told(cls, outcome: Outcome) -> Ending:
        """Return the ending that an agent told."""
        return cls(outcome.status, outcome.usage, outcome.error, outcome.incomplete_details)

    @classmethod
    def interrupted(cls, message: str, *, cut_at: int | None = None) -> Ending:
        """Return the ending of an answer that was broken off."""
        # The API's two reasons (a token limit, a content filter) would both be untrue, and clients may know no third.
        return cls(
            "incomplete",
            incomplete_details={"reason": None, "code": "interrupted", "message": message},
            cut_at=cut_at,
        )

    @classmethod
    def of(cls, turn: TurnRead) -> Ending:
        """Return the ending of a stored turn that has ended."""
        return cls(turn.status, **json.loads(turn.result or "{}"))  # type: ignore[arg-type] # the column is checked

    @property
    def text(self) -> str:
        """Return everything but the status as JSON text, as it is stored."""
        return write_json({name: value for name, value in self._asdict().items() if name != "status"}).decode()


def stored_request(
    *, store: bool, metadata: Mapping[str, str], parameters: Mapping[str, Any], own_tools: Sequence[str]
) -> str:
    """Return what is stored of a request, as JSON text: what its response repeats, and the agent's own tools."""
    repeated = {name: value for name, value in parameters.items() if name in DEFAULTS}
    stored = {"store": store, "metadata": dict(metadata), "parameters": repeated, "own_tools": list(own_tools)}
    return write_json(stored).decode()


def own_tools_of(turn: TurnRead) -> list[str]:
    """Return the names of the tools that the agent of a turn runs itself."""
    names: list[str] = json.loads(turn.request)["own_tools"]
    return names


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """Hold what is known of a response from its beginning; ``conversation_id`` is ``None`` when nothing is stored."""

    id: UUID
    model: str
    created_at: datetime
    conversation_id: UUID | None
    store: bool
    metadata: Mapping[str, str]
    parameters: Mapping[str, Any]

    @classmethod
    def of(cls, turn: TurnRead) -> ResponseHead:
        """Return the head of a stored turn."""
        request = json.loads(turn.request)
        del request["own_tools"]
        return cls(turn.id, turn.model, turn.created_at, turn.conversation_id, **request)

    @property
    def public_id(self) -> str:
        """Return the id as clients see it: ``resp_`` and 48 hexadecimal digits."""
        return spell("resp", self.id)

    def running(self, status: Status = "in_progress") -> JsonObject:
        """Return the response while it is being made."""
        return self._object(status, output=[])

    def ended(self, ending: Ending, *, output: Sequence[JsonObject], at: datetime) -> JsonObject:
        """Return the response as it came out."""
        response = self._object(ending.status, output=output)
        response |= {
            "error": ending.error,
            "incomplete_details": ending.incomplete_details,
            "usage": ending.usage,
        }
        if ending.status == "completed":
            response["completed_at"] = int(at.timestamp())
        return response

    @property
    def sent_parameters(self) -> Mapping[str, Any]:
        """Return what the agent gets of the parameters: all but those that are about the turn itself."""
        return {name: value for name, value in self.parameters.items() if name not in _TURN_PARAMETERS}

    def _object(self, status: Status, *, output: Sequence[JsonObject]) -> JsonObject:
        home = self.conversation_id
        return {
            "id": self.public_id,
            "object": "response",
            "created_at": int(self.created_at.timestamp()),
            "completed_at": None,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "model": self.model,
            "output": list(output),
            "conversation": None if home is None else {"id": spell("conv", home)},
            **{name: self._parameter(name, default) for name, default in DEFAULTS.items()},
            "store": self.store,
            "metadata": dict(self.metadata),
            "usage": None,
        }

    def _parameter(self, name: str, default: Any) -> Any:
        sent = self.parameters.get(name)
        return default if sent is None else sent


def outcome_of(turn: TurnRead) -> JsonObject:
    """Return of a Response object what says how far it is or how it ended: all that needs no item."""
    ending = Ending.of(turn)
    return {
        "id": turn.public_id,
        "object": "response",
        "created_at": int(turn.created_at.timestamp()),
        "status": ending.status,
        "error": ending.error,
        "incomplete_details": ending.incomplete_details,
        "model": turn.model,
    }


def opening_events(head: ResponseHead) -> list[StreamEvent]:
    """Return the events that every turn begins with."""
    response = head.running()
    types = ("response.created", "response.in_progress")
    return [
        StreamEvent.of({"type": type_, "response": response, "sequence_number": number})
        for number, type_ in enumerate(types)
    ]


def final_event(response: JsonObject, number: int) -> StreamEvent:
    """Return the event that ends a turn."""
    type_ = _FINAL_TYPES.get(response["status"], "response.incomplete")
    return StreamEvent.of({"type": type_, "response": response, "sequence_number": number}, final=True)
