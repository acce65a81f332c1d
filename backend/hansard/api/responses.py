"""Serve responses: a turn of the conversation, as the OpenAI Responses API asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from hansard.api.answers import JsonAnswer
from hansard.api.bodies import check_flag, missing, wrong_type
from hansard.api.deps import CurrentUser, JsonBody, OwnStore
from hansard.api.intake import check_items, settle_items
from hansard.api.wire import read_conversation_id
from hansard.errors import InvalidInput, NotFound
from hansard.models.limits import JsonObject, check_metadata
from hansard.models.verbatim import message_item
from hansard.services.turns import TurnRequest, Turns
from hansard.store.contract import UserStore
from hansard.utils.json_text import write_json

router = APIRouter(tags=["Responses"])

_NUMBER: Final = (int, float)
# The parameters that a response repeats: the SDKs read them, so their types must be right. `None` is "not sent".
_TYPES: Final[Mapping[str, tuple[tuple[type, ...], str]]] = {
    "instructions": ((str, list), "a string or an array"),
    "max_output_tokens": ((int,), "an integer"),
    "max_tool_calls": ((int,), "an integer"),
    "parallel_tool_calls": ((bool,), "a boolean"),
    "prompt": ((dict,), "an object"),
    "prompt_cache_key": ((str,), "a string"),
    "reasoning": ((dict,), "an object"),
    "safety_identifier": ((str,), "a string"),
    "service_tier": ((str,), "a string"),
    "temperature": (_NUMBER, "a number"),
    "text": ((dict,), "an object"),
    "tool_choice": ((str, dict), "a string or an object"),
    "tools": ((list,), "an array"),
    "top_logprobs": ((int,), "an integer"),
    "top_p": (_NUMBER, "a number"),
    "truncation": ((str,), "a string"),
    "user": ((str,), "a string"),
}
_OURS: Final = frozenset(
    {"input", "model", "conversation", "previous_response_id", "stream", "background", "store", "metadata"}
)
_REQUEST: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "description": "The parameters of the OpenAI Responses API; those not listed are the model's.",
                    "properties": {
                        "input": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]},
                        "model": {"type": "string", "description": "Who answers; `offline` needs no model at all."},
                        "conversation": {
                            "description": "Where the turn belongs; without it a new, unlisted conversation begins.",
                            "anyOf": [
                                {"type": "string"},
                                {
                                    "type": "object",
                                    "properties": {"id": {"type": "string"}},
                                    "required": ["id"],
                                },
                            ],
                        },
                        "store": {
                            "type": "boolean",
                            "default": True,
                            "description": "False keeps nothing of a turn that names no conversation.",
                        },
                        "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
                        "instructions": {"type": "string"},
                    },
                    "additionalProperties": True,
                }
            }
        },
    }
}


async def _turns(request: Request) -> Turns:
    return cast("Turns", request.app.state.turns)


OurTurns = Annotated[Turns, Depends(_turns)]


@router.post(
    "/v1/responses",
    operation_id="createResponse",
    summary="Run a turn",
    responses={200: {"description": "The response; its status says whether the model failed."}},
    openapi_extra=_REQUEST,
)
async def create_response(user_id: CurrentUser, store: OwnStore, turns: OurTurns, body: JsonBody) -> Response:
    """Store the input, let the model answer, store its output and return the response."""
    request = await _read_request(store, body)
    try:
        answer = await turns.run(user_id, request)
    except NotFound as error:
        # The store knows it by its UUID; the client is told the id it sent.
        raise NotFound(error.noun, _sent_id(body.get("conversation"))) from None
    return JsonAnswer(write_json(answer))


async def _read_request(store: UserStore, body: JsonObject) -> TurnRequest:
    _refuse_what_is_missing(body)
    conversation_id = _conversation(body.get("conversation"))
    parameters = {name: value for name, value in body.items() if name not in _OURS}
    _check_types(parameters)
    return TurnRequest(
        items=await _input(store, body.get("input"), conversation_id=conversation_id),
        model=_model(body.get("model")),
        conversation_id=conversation_id,
        store=True if body.get("store") is None else check_flag(body["store"], param="store"),
        metadata=check_metadata(body.get("metadata")),
        parameters=parameters,
    )


def _refuse_what_is_missing(body: JsonObject) -> None:
    for name in ("stream", "background"):
        if body.get(name) is not None and check_flag(body[name], param=name):
            raise _unsupported(name, f"'{name}' is not supported yet: leave it out or set it to false.")
    if body.get("previous_response_id") is None:
        return
    if body.get("conversation") is not None:
        message = "'previous_response_id' and 'conversation' exclude each other: send only one of them."
        raise InvalidInput(message, param="previous_response_id", code="mutually_exclusive_parameters")
    message = "'previous_response_id' is not supported yet: continue with 'conversation'."
    raise _unsupported("previous_response_id", message)


def _unsupported(name: str, message: str) -> InvalidInput:
    return InvalidInput(message, param=name, code="unsupported_parameter")


def _conversation(value: object) -> UUID | None:
    if value is None:
        return None
    sent = _sent_id(value)
    if not isinstance(sent, str):
        raise wrong_type(sent, param="conversation", expected="a string or an object with a string 'id'")
    return read_conversation_id(sent)


def _sent_id(conversation: object) -> object:
    return conversation.get("id") if isinstance(conversation, dict) else conversation


async def _input(store: UserStore, value: object, *, conversation_id: UUID | None) -> list[JsonObject]:
    if value is None:
        if conversation_id is None:
            raise missing("input")
        return []
    if isinstance(value, str):
        return [message_item("user", "completed", value)]
    if not isinstance(value, list):
        raise wrong_type(value, param="input", expected="a string or an array")
    items = check_items(value, param="input", most=None)
    return await settle_items(store, items, conversation_id=conversation_id, param="input")


def _model(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise wrong_type(value, param="model", expected="a string")


def _check_types(parameters: JsonObject) -> None:
    for name, (types, expected) in _TYPES.items():
        value = parameters.get(name)
        # A boolean is an integer in Python, never in JSON.
        if value is not None and (not isinstance(value, types) or (isinstance(value, bool) and bool not in types)):
            raise wrong_type(value, param=name, expected=expected)
