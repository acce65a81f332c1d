"""Seal the place where a page ended into an opaque, authenticated string."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import TypeAlias

Scalar: TypeAlias = str | int | bool | None

_TAG_BYTES = 16


class CursorSealer:
    """Seal and open cursors with one key; whoever lacks the key can neither make nor alter one.

    ``context`` (the user, the filter) is authenticated but not carried: a cursor opens only where it was sealed.
    """

    def __init__(self, key: bytes) -> None:
        self._key = hashlib.blake2b(key, person=b"hansard.cursor", digest_size=32).digest()

    def seal(self, values: Sequence[Scalar], *, context: Sequence[Scalar]) -> str:
        """Return URL-safe text for ``values``, bound to ``context``."""
        body = json.dumps(list(values), separators=(",", ":")).encode()
        return _spell(self._tag(body, context) + body)

    def open(self, text: str, *, context: Sequence[Scalar]) -> list[Scalar] | None:
        """Return the values of a cursor, or ``None`` when it was not sealed by us for this context."""
        try:
            raw = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        except (binascii.Error, UnicodeEncodeError):
            return None
        # The decoder skips what is not of its alphabet and ignores spare bits; a cursor has one spelling.
        if _spell(raw) != text:
            return None
        tag, body = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
        if not hmac.compare_digest(tag, self._tag(body, context)):
            return None
        values: list[Scalar] = json.loads(body)
        return values

    def _tag(self, body: bytes, context: Sequence[Scalar]) -> bytes:
        bound = json.dumps(list(context), separators=(",", ":")).encode()
        message = len(bound).to_bytes(4, "big") + bound + body
        return hashlib.blake2b(message, key=self._key, digest_size=_TAG_BYTES).digest()


def _spell(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
