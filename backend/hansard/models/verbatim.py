"""Turn items into columns and back, to the code point.

PostgreSQL can hold neither NUL nor lone surrogates in text, and its jsonb also reorders keys and rewrites
numbers. So an item is kept as ASCII JSON *text* in ``payload``, and ``content`` is a readable projection of
it. Two plain shapes, which are nearly all messages, need no payload at all, because kind, role, status and
content give them back exactly: the API's message with one text part (``status`` set) and the short
``{"role": …, "content": "…"}`` (``status`` null).

See docs/decisions/0005-verbatim.md.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from hansard.errors import InvalidInput, TooLarge
from hansard.models.limits import ITEM_BYTES, JsonObject, storable
from hansard.utils.json_text import is_deeper

ROLES = frozenset({"user", "assistant", "system", "developer", "tool"})
KIND_CODE_POINTS = 64
STATUS_CODE_POINTS = 32
NESTING = 100

_SHORT = ["role", "content"]
_FULL = ["type", "role", "status", "content"]
_WORST_BYTES_PER_CODE_POINT = 6
_SLACK = 512
# A high and a low surrogate that stand side by side as two code points: JSON escapes would read back as one.
# Only a Python caller can make such a string; its payload is base64 of unescaped JSON behind this mark.
_PAIRED = "~"


class ItemColumns(NamedTuple):
    """Hold one item the way its row does."""

    kind: str
    role: str | None
    status: str | None
    content: str
    payload: str | None


def message_item(role: str, status: str, text: str) -> JsonObject:
    """Return the API's message with one part of text: the shape that needs no payload."""
    part: JsonObject = (
        {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        if role == "assistant"
        else {"type": "input_text", "text": text}
    )
    return {"type": "message", "role": role, "status": status, "content": [part]}


def encode_item(item: Mapping[str, Any], *, param: str = "item", limit: int = ITEM_BYTES) -> ItemColumns:
    """Return the columns that give ``item`` back exactly.

    Raises `InvalidInput` for what JSON cannot say exactly (tuples, keys that are no strings, NaN, infinities,
    nesting deeper than 100) and `TooLarge` beyond ``limit`` bytes of compact unescaped UTF-8 JSON.
    """
    if not isinstance(item, dict):
        message = f"{param} must be a JSON object (a dict)"
        raise InvalidInput(message, param=param, code="invalid_type")
    plain = _plain_message(item)
    if plain is not None:
        if len(plain.content) * _WORST_BYTES_PER_CODE_POINT + _SLACK > limit:
            _check_size(item, param=param, limit=limit)
        return plain
    payload = _exact_json(item, param=param)
    if len(payload) > limit:
        _check_size(item, param=param, limit=limit)
    return ItemColumns(_kind(item, param=param), _role(item), _status(item, param=param), project(item), payload)


def json_size(value: object) -> int:
    """Return how many bytes a JSON value has as limits count them: compact, unescaped UTF-8, a surrogate as three."""
    return len(_unescaped(value).encode("utf-8", "surrogatepass"))


def decode_item(columns: ItemColumns) -> JsonObject:
    """Return the item that `encode_item` was given."""
    if columns.payload is not None:
        return _read_payload(columns.payload)
    role = columns.role or ""
    if columns.status is None:
        return {"role": role, "content": columns.content}
    return message_item(role, columns.status, columns.content)


def project(item: JsonObject) -> str:
    """Return the readable text of an item, for search and titles; unstorable code points become U+FFFD."""
    texts: list[str] = []
    for key in ("content", "summary", "output", "name", "arguments", "input", "code", "result"):
        _gather(item.get(key), texts)
    text = "\n".join(texts)
    if storable(text):
        return text
    return text.replace("\x00", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _gather(value: object, texts: list[str]) -> None:
    if isinstance(value, str):
        texts.append(value)
    elif isinstance(value, list):
        for part in value:
            text = part.get("text", part.get("refusal")) if isinstance(part, dict) else part
            if isinstance(text, str):
                texts.append(text)


def _plain_message(item: JsonObject) -> ItemColumns | None:
    keys = list(item)
    if keys == _SHORT:
        role, status, text = item["role"], None, item["content"]
    elif keys == _FULL:
        role, status, text = item["role"], item["status"], _only_text(item["content"])
    else:
        return None
    if not (isinstance(text, str) and isinstance(role, str) and role in ROLES and storable(text)):
        return None
    if status is not None or keys == _FULL:
        if not (isinstance(status, str) and 0 < len(status) <= STATUS_CODE_POINTS and storable(status)):
            return None
        # The one comparison that makes it true: what the columns would give back is what was handed in.
        rebuilt = message_item(role, status, text)
        if rebuilt != item or list(rebuilt["content"][0]) != list(item["content"][0]):
            return None
    return ItemColumns("message", role, status, text, None)


def _only_text(content: object) -> object:
    if isinstance(content, list) and len(content) == 1 and isinstance(content[0], dict):
        return content[0].get("text")
    return None


def _exact_json(item: JsonObject, *, param: str) -> str:
    try:
        payload = _exact_payload(item)
    except RecursionError:
        raise _too_deep(param) from None
    except (TypeError, ValueError):
        payload = None
    if payload is None:
        message = (
            f"{param} must be exact JSON: objects with string keys, lists, strings, finite numbers "
            "(integers up to 4300 digits), true, false, null"
        )
        raise InvalidInput(message, param=param, code="invalid_json_value")
    brackets = payload.count("[") + payload.count("{")
    if (brackets > NESTING or payload.startswith(_PAIRED)) and is_deeper(item, NESTING):
        raise _too_deep(param)
    return payload


def _exact_payload(item: JsonObject) -> str | None:
    escaped = json.dumps(item, separators=(",", ":"), allow_nan=False)
    if json.loads(escaped) == item:
        return escaped
    paired = _PAIRED + base64.b64encode(_unescaped(item).encode("utf-8", "surrogatepass")).decode()
    return paired if _read_payload(paired) == item else None


def _read_payload(payload: str) -> JsonObject:
    if payload.startswith(_PAIRED):
        payload = base64.b64decode(payload[1:]).decode("utf-8", "surrogatepass")
    item: JsonObject = json.loads(payload)
    if not isinstance(item, dict):
        message = "a payload must hold an object"
        raise TypeError(message)
    return item


def _unescaped(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _too_deep(param: str) -> InvalidInput:
    message = f"{param} is nested too deeply; the limit is {NESTING} levels"
    return InvalidInput(message, param=param, code="nested_too_deeply")


def _check_size(item: JsonObject, *, param: str, limit: int) -> None:
    size = json_size(item)
    if size > limit:
        message = f"{param} has {size} bytes; the limit of one item is {limit}"
        raise TooLarge(message, param=param, code="item_too_large")


def _kind(item: JsonObject, *, param: str) -> str:
    kind = item.get("type", "message" if "role" in item else "item")
    if not isinstance(kind, str) or not 0 < len(kind) <= KIND_CODE_POINTS or not storable(kind):
        message = f"{param}.type must be a string of 1 to {KIND_CODE_POINTS} characters"
        raise InvalidInput(message, param=f"{param}.type")
    return kind


def _role(item: JsonObject) -> str | None:
    role = item.get("role")
    return role if isinstance(role, str) and role in ROLES else None


def _status(item: JsonObject, *, param: str) -> str | None:
    status = item.get("status")
    if status is None or not isinstance(status, str):
        return None
    if len(status) > STATUS_CODE_POINTS or not storable(status):
        message = f"{param}.status must be a string of at most {STATUS_CODE_POINTS} characters"
        raise InvalidInput(message, param=f"{param}.status")
    return status
