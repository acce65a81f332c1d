"""Check what callers hand in, once, with errors that name the field and the limit."""

import json
from collections.abc import Collection, Mapping
from typing import Any

from hansard.errors import InvalidInput, TooLarge

USER_ID_CODE_POINTS = 255
TITLE_CODE_POINTS = 255
SOURCE_CODE_POINTS = 64
EXTERNAL_ID_CODE_POINTS = 255
CLIENT_ID_CODE_POINTS = 255
METADATA_PAIRS = 16
METADATA_KEY_CODE_POINTS = 64
METADATA_VALUE_CODE_POINTS = 512
TASK_TITLE_CODE_POINTS = 200
TASK_DESCRIPTION_CODE_POINTS = 1000
ITEM_BYTES = 1024 * 1024
PAGE_ITEMS = 1000


def storable(text: str) -> bool:
    """Say whether a text column of every database can hold ``text``: no NUL, no lone surrogate."""
    if "\x00" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_text(value: object, *, param: str, longest: int, shortest: int = 0) -> str:
    """Return ``value`` when it is text that fits its column, or raise naming the field and the limit."""
    if not isinstance(value, str):
        message = f"{param} must be a string"
        raise InvalidInput(message, param=param, code="invalid_type")
    if len(value) < shortest:
        message = f"{param} must have at least {shortest} character{'s' if shortest > 1 else ''}"
        raise InvalidInput(message, param=param, code="too_short")
    if len(value) > longest:
        message = f"{param} has {len(value)} characters; the limit is {longest}"
        raise TooLarge(message, param=param, code="string_above_max_length")
    if not storable(value):
        message = f"{param} must not contain NUL or lone surrogates"
        raise InvalidInput(message, param=param, code="invalid_characters")
    return value


def check_user_id(value: object) -> str:
    """Return a user id: 1 to 255 code points, storable."""
    return check_text(value, param="user_id", longest=USER_ID_CODE_POINTS, shortest=1)


def check_title(value: object, *, param: str = "title") -> str | None:
    """Return a conversation's title: ``None`` or 1 to 255 code points, storable."""
    return None if value is None else check_text(value, param=param, longest=TITLE_CODE_POINTS, shortest=1)


def check_metadata(value: object, *, param: str = "metadata") -> dict[str, str]:
    """Return metadata: up to 16 pairs, keys up to 64 and values up to 512 code points; ``None`` means none."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        message = f"{param} must be an object of strings"
        raise InvalidInput(message, param=param, code="invalid_type")
    if len(value) > METADATA_PAIRS:
        message = f"{param} has {len(value)} pairs; the limit is {METADATA_PAIRS}"
        raise TooLarge(message, param=param, code="object_above_max_properties")
    for key, text in value.items():
        _check_metadata_pair(key, text, param=param)
    metadata = dict(value)
    if json.loads(json.dumps(metadata)) != metadata:
        message = f"{param} must not contain a surrogate pair as two characters"
        raise InvalidInput(message, param=param, code="invalid_characters")
    return metadata


def _check_metadata_pair(key: object, text: object, *, param: str) -> None:
    if not isinstance(key, str) or not isinstance(text, str):
        message = f"{param} must map strings to strings"
        raise InvalidInput(message, param=param, code="invalid_type")
    if not key:
        message = f"a key of {param} must have at least 1 character"
        raise InvalidInput(message, param=param, code="too_short")
    if len(key) > METADATA_KEY_CODE_POINTS:
        message = f"a key of {param} has {len(key)} characters; the limit is {METADATA_KEY_CODE_POINTS}"
        raise TooLarge(message, param=param, code="string_above_max_length")
    if len(text) > METADATA_VALUE_CODE_POINTS:
        message = f"a value of {param} has {len(text)} characters; the limit is {METADATA_VALUE_CODE_POINTS}"
        raise TooLarge(message, param=f"{param}.{key}", code="string_above_max_length")


def check_count(value: object, *, param: str, most: int, least: int = 1) -> int:
    """Return a whole number between ``least`` and ``most``."""
    if not isinstance(value, int) or isinstance(value, bool):
        message = f"{param} must be a whole number"
        raise InvalidInput(message, param=param, code="invalid_type")
    if not least <= value <= most:
        message = f"{param} is {value}; it must be between {least} and {most}"
        code = "integer_above_max_value" if value > most else "integer_below_min_value"
        raise InvalidInput(message, param=param, code=code)
    return value


def check_choice(value: object, *, param: str, choices: Collection[str]) -> str:
    """Return ``value`` when it is one of ``choices``."""
    if not isinstance(value, str) or value not in choices:
        message = f"{param} must be one of {', '.join(choices)}"
        raise InvalidInput(message, param=param)
    return value


JsonObject = dict[str, Any]
