"""Read request bodies: size first, then JSON, then fields, each refused with the field's name.

Bodies do not pass through pydantic: its strings refuse lone surrogates, which an item may hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fastapi import Request

from hansard.api.errors import ApiError
from hansard.errors import InvalidInput
from hansard.models.limits import JsonObject
from hansard.utils.json_text import read_json

_JSON_NAMES: Final[Mapping[type, str]] = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    type(None): "null",
}


async def read_body(request: Request, *, limit: int) -> JsonObject:
    """Return the request's JSON object; an empty body counts as ``{}``.

    The limit holds while the body arrives, before anything is parsed.
    """
    # The first of each counts.
    sent = dict(reversed(request.scope["headers"]))
    _check_encoding(sent)
    raw = await _receive(request, limit=limit, declared=sent.get(b"content-length", b"0"))
    if not raw:
        return {}
    _check_type(sent)
    try:
        body = read_json(raw)
    except ValueError as error:
        raise InvalidInput(f"We could not parse the request: {error}.", code="invalid_json") from None
    if not isinstance(body, dict):
        raise InvalidInput(f"The body must be a JSON object, but it is {json_name(body)}.", code="invalid_type")
    return body


def check_known(body: JsonObject, *, known: frozenset[str]) -> None:
    """Refuse fields that nobody reads: a misspelt one must not be dropped quietly."""
    for name in body:
        if name not in known:
            raise InvalidInput(f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")


def check_flag(value: object, *, param: str) -> bool:
    """Return a boolean."""
    if not isinstance(value, bool):
        raise wrong_type(value, param=param, expected="a boolean")
    return value


def missing(param: str) -> InvalidInput:
    """Return the error for a field that must be there."""
    return InvalidInput(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")


def wrong_type(value: object, *, param: str, expected: str) -> InvalidInput:
    """Return the error for a field of a wrong JSON type."""
    message = f"Invalid type for '{param}': expected {expected}, but got {json_name(value)} instead."
    return InvalidInput(message, param=param, code="invalid_type")


def json_name(value: object) -> str:
    """Name the JSON type of a value, with its article."""
    return _JSON_NAMES.get(type(value), "an unknown value")


def _check_encoding(sent: Mapping[bytes, bytes]) -> None:
    if sent.get(b"content-encoding", b"identity") != b"identity":
        raise ApiError("Compressed request bodies are not supported.", status=415, code="unsupported_encoding")


def _check_type(headers: Mapping[bytes, bytes]) -> None:
    # A body without a type is taken for JSON; a form is not, so that no plain HTML form can write.
    sent = headers.get(b"content-type")
    if sent is None:
        return
    media_type = sent.partition(b";")[0].strip().lower()
    if media_type != b"application/json" and not media_type.endswith(b"+json"):
        message = "The body must be JSON: send it with 'Content-Type: application/json'."
        raise ApiError(message, status=415, code="unsupported_media_type")


async def _receive(request: Request, *, limit: int, declared: bytes) -> bytes:
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body)


def _too_large(limit: int) -> ApiError:
    # The rest of the body is still on its way: only closing the connection ends it.
    message = f"The request body is too large; the limit is {limit} bytes."
    return ApiError(message, status=413, code="request_too_large", headers={"connection": "close"})
