"""Read and write JSON without losing or bending anything.

`json.loads` keeps lone surrogates and integers of any size, which faster parsers refuse; what it would
accept but could not give back (duplicate keys, NaN, infinities) is refused here.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final, NoReturn

# Deep enough for a hundred levels of an item inside of a request, and so far from what Python can do that whatever was
# read can be written, compared and walked through from anywhere.
DEEPEST: Final = 256
_TOO_DEEP: Final = f"the body is nested too deeply; the limit is {DEEPEST} levels"


def read_json(raw: bytes) -> Any:
    """Return the value of a UTF-8 JSON document.

    Raises `ValueError` with a sentence for the caller, which repeats none of the document's text.
    """
    try:
        value = _decode(_without_mark(raw.decode("utf-8")))
    except UnicodeDecodeError as error:
        message = f"the body is not UTF-8 (byte {error.start})"
    except json.JSONDecodeError as error:
        message = f"the body is not JSON: {error.msg} at line {error.lineno} column {error.colno}"
    except RecursionError:
        message = _TOO_DEEP
    else:
        if raw.count(b"[") + raw.count(b"{") <= DEEPEST or not is_deeper(value, DEEPEST):
            return value
        message = _TOO_DEEP
    raise ValueError(message)


def is_deeper(value: object, levels: int) -> bool:
    """Say whether lists and objects stand inside of one another in more than so many levels."""
    level = [value]
    for _ in range(levels + 1):
        holders = [one for one in level if isinstance(one, dict | list)]
        if not holders:
            return False
        level = [child for one in holders for child in (one.values() if isinstance(one, dict) else one)]
    return True


def write_json(value: object) -> bytes:
    """Return compact ASCII JSON: the one form that carries every string unharmed through every client."""
    return _encode(value).encode("ascii")


def _without_mark(text: str) -> str:
    if text.startswith("\ufeff"):
        message = "Unexpected UTF-8 byte order mark"
        raise json.JSONDecodeError(message, text, 0)
    return text


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        message = "the body has an object with a duplicate key"
        raise ValueError(message)
    return found


def _no_constant(name: str) -> NoReturn:
    message = f"the body holds {name}, which JSON has no word for"
    raise ValueError(message)


def _whole(digits: str) -> int:
    try:
        return int(digits)
    except ValueError:  # Python's own guard against quadratic work, 4300 digits unless configured otherwise
        message = "the body holds a whole number with too many digits"
    raise ValueError(message)


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        message = "the body holds a number beyond the range of a 64-bit float"
        raise ValueError(message)
    return value


# `json.loads` and `json.dumps` make another one for every call that is not by default.
_decode: Final = json.JSONDecoder(
    object_pairs_hook=_unique_keys, parse_constant=_no_constant, parse_int=_whole, parse_float=_finite
).decode
_encode: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
