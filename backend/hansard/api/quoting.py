"""Spell text in JSON."""

from __future__ import annotations

from json.encoder import encode_basestring_ascii

from pydantic_core import to_json


def quoted(text: str) -> str:
    """Return a string as ASCII JSON.

    Most of what people write is ASCII, and then the compiled serialiser of pydantic takes half as long as the standard
    library's; it writes all else as UTF-8, and refuses lone surrogates.
    """
    return to_json(text).decode("ascii") if text.isascii() else encode_basestring_ascii(text)
