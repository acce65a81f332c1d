"""Build the Response object of the API from a turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias
from uuid import UUID

from hansard.agents.protocol import Outcome
from hansard.models.limits import JsonObject
from hansard.utils.ids import spell

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

    @property
    def public_id(self) -> str:
        """Return the id as clients see it: ``resp_`` and 48 hexadecimal digits."""
        return spell("resp", self.id)

    def running(self, status: Status = "in_progress") -> JsonObject:
        """Return the response while it is being made."""
        return self._object(status, output=[])

    def ended(self, outcome: Outcome, *, output: Sequence[JsonObject], at: datetime) -> JsonObject:
        """Return the response as it came out."""
        response = self._object(outcome.status, output=output)
        response |= {
            "error": outcome.error,
            "incomplete_details": outcome.incomplete_details,
            "usage": outcome.usage,
        }
        if outcome.status == "completed":
            response["completed_at"] = int(at.timestamp())
        return response

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
