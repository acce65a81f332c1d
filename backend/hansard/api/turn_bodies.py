"""Read what a client asks of a turn: the body of ``POST /v1/responses``, checked."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, NamedTuple
from uuid import UUID

from hansard.api.bodies import check_flag, missing, wrong_type
from hansard.api.intake import MOST_INPUT_ITEMS, check_items, settle_items
from hansard.api.turn_parameters import check_parameters
from hansard.api.wire import read_conversation_id, read_response_id
from hansard.errors import InvalidInput, NotFound
from hansard.models import RequestKey, TurnRead
from hansard.models.limits import JsonObject, check_metadata
from hansard.models.verbatim import message_item
from hansard.services.beginning import TurnRequest
from hansard.store.contract import UserStore

_OURS: Final = frozenset(
    {
        "input",
        "model",
        "conversation",
        "previous_response_id",
        "stream",
        "stream_options",
        "background",
        "store",
        "metadata",
    }
)


class TurnBody(NamedTuple):
    """Hold what a body asks for, checked as far as nothing need be looked up; ``stream`` is about the answer alone."""

    request: TurnRequest
    stream: bool
    previous_id: str | None

    async def settled(self, store: UserStore, *, limit: int) -> TurnRequest:
        """Return the request with what it refers to, of ``limit`` bytes at most.

        Raises `InvalidInput`, and `NotFound` for an item.
        """
        request = self.request
        if self.previous_id is not None:
            request = replace(request, previous=await _previous(store, self.previous_id))
        home = request.home
        items = await settle_items(store, request.items, limit=limit, conversation_id=home, param="input")
        return replace(request, items=items)


def read_turn(body: JsonObject, *, wait: bool, key: RequestKey | None) -> TurnBody:
    """Return what a body asks for; raises `InvalidInput`, and `NotFound` for what is no id of a conversation."""
    previous_id, conversation_id = _previous_id(body), _conversation(body.get("conversation"))
    parameters = {name: value for name, value in body.items() if name not in _OURS}
    check_parameters(parameters)
    goes_on = previous_id is not None or conversation_id is not None
    if body.get("stream_options") is not None and not isinstance(body["stream_options"], dict):
        raise wrong_type(body["stream_options"], param="stream_options", expected="an object")
    request = TurnRequest(
        items=_input(body.get("input"), needed=not goes_on),
        model=_model(body.get("model")),
        conversation_id=conversation_id,
        store=_flag(body, "store", default=True),
        background=_flag(body, "background", default=False),
        metadata=check_metadata(body.get("metadata")),
        parameters=parameters,
        wait=wait,
        key=key,
    )
    is_stored = request.store or goes_on
    if key is not None and not is_stored:
        message = f"'{key.param}' needs 'store': nothing is kept that a repeated request could be answered with."
        raise InvalidInput(message, param=key.param, code="idempotency_without_store")
    if request.background and not is_stored:
        message = "'background' needs 'store': nobody could ask for the answer."
        raise InvalidInput(message, param="background", code="background_without_store")
    return TurnBody(request, _flag(body, "stream", default=False), previous_id)


def _flag(body: JsonObject, name: str, *, default: bool) -> bool:
    return default if body.get(name) is None else check_flag(body[name], param=name)


def _previous_id(body: JsonObject) -> str | None:
    sent = body.get("previous_response_id")
    if sent is None:
        return None
    if body.get("conversation") is not None:
        message = "'previous_response_id' and 'conversation' exclude each other: send only one of them."
        raise InvalidInput(message, param="previous_response_id", code="mutually_exclusive_parameters")
    if not isinstance(sent, str):
        raise wrong_type(sent, param="previous_response_id", expected="a string")
    return sent


async def _previous(store: UserStore, sent: str) -> TurnRead:
    try:
        return await store.turns.get(read_response_id(sent))
    except NotFound:
        message = f"Previous response with id '{sent}' not found."
        raise InvalidInput(message, param="previous_response_id", code="previous_response_not_found") from None


def _conversation(value: object) -> UUID | None:
    if value is None:
        return None
    sent = sent_id(value)
    if not isinstance(sent, str):
        raise wrong_type(sent, param="conversation", expected="a string or an object with a string 'id'")
    return read_conversation_id(sent)


def sent_id(conversation: object) -> object:
    """Return the id that a client sent, of a conversation that is named by it or by an object around it."""
    return conversation.get("id") if isinstance(conversation, dict) else conversation


def _input(value: object, *, needed: bool) -> list[JsonObject]:
    if value is None:
        if needed:
            raise missing("input")
        return []
    if isinstance(value, str):
        return [message_item("user", "completed", value)]
    if not isinstance(value, list):
        raise wrong_type(value, param="input", expected="a string or an array")
    return check_items(value, param="input", most=MOST_INPUT_ITEMS)


def _model(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise wrong_type(value, param="model", expected="a string")
