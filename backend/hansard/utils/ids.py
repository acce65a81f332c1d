"""Make and spell identifiers.

A public id is a prefix, an underscore and 48 hexadecimal digits: 16 bytes of UUID and 8 bytes of tail.

* a conversation or response: its UUID, tail 0;
* an item stored by appending: its conversation's UUID, its position (1 … 2^63 - 1), so no second index is needed;
* an item that was announced before it had a position: the UUID of the response that it is part of, or one of its own,
  and a tail whose top bit is set; then which of the response's items it is (31 bits), and 32 random bits.
"""

from __future__ import annotations

import os
import threading
import time
from typing import NamedTuple
from uuid import UUID

_RAW_BYTES = 24
_TAIL_BYTES = 8
_MINTED = 1 << 63
_MINTED_BYTE = 0x80
_RANDOM_BITS = 32
_PLACES = 1 << 31
_HEX_DIGITS = frozenset("0123456789abcdef")
_LENGTH = 48


class PublicId(NamedTuple):
    """Hold the two parts of a public id; ``minted`` when the tail is not a position."""

    uuid: UUID
    tail: int

    @property
    def minted(self) -> bool:
        """Say whether the id was made before its item had a position."""
        return self.tail >= _MINTED

    @property
    def raw(self) -> bytes:
        """Return the 24 bytes behind the hexadecimal digits."""
        return self.uuid.bytes + self.tail.to_bytes(_TAIL_BYTES, "big")

    @property
    def place(self) -> int:
        """Return which item of its response a minted id was made for, from 0 on; without meaning for other UUIDs."""
        return self.tail >> _RANDOM_BITS & _PLACES - 1


class Uuid7Source:
    """Make UUIDs of version 7 (RFC 9562) that rise within one process, also within one millisecond."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def __call__(self) -> UUID:
        """Return the next UUID: 48 bits of milliseconds, 12 bits of sub-millisecond order, 62 random bits."""
        nanoseconds = time.time_ns()
        stamp = ((nanoseconds // 1_000_000) << 12) | ((nanoseconds % 1_000_000) * 4096 // 1_000_000)
        with self._lock:
            stamp = self._last = max(stamp, self._last + 1)
        head = ((stamp >> 12) << 16) | 0x7000 | (stamp & 0xFFF)
        tail = (int.from_bytes(os.urandom(8), "big") & 0x3FFF_FFFF_FFFF_FFFF) | 0x8000_0000_0000_0000
        return UUID(int=(head << 64) | tail)


new_uuid = Uuid7Source()


def mint(response: UUID | None = None, place: int | None = None) -> bytes:
    """Return the 24 bytes of an id for an item that has no position yet.

    Where it is known that so many items of its response will stand before it, the id tells of both.
    """
    tail = int.from_bytes(os.urandom(_TAIL_BYTES), "big") | _MINTED
    if response is None or place is None or place >= _PLACES:
        return PublicId(new_uuid(), tail).raw
    return PublicId(response, _MINTED | place << _RANDOM_BITS | tail & (1 << _RANDOM_BITS) - 1).raw


def read_raw(raw: bytes) -> PublicId:
    """Return the two parts of 24 bytes."""
    return PublicId(UUID(bytes=raw[:16]), int.from_bytes(raw[16:], "big"))


def is_minted(raw: object) -> bool:
    """Say whether ``raw`` could have come from `mint`."""
    return isinstance(raw, bytes) and len(raw) == _RAW_BYTES and raw[-_TAIL_BYTES] >= _MINTED_BYTE


def spell(prefix: str, uuid: UUID, tail: int = 0) -> str:
    """Write a public id, such as ``conv_0192…``."""
    return f"{prefix}_{uuid.hex}{tail:016x}"


def parse(text: str, *, prefix: str | None = None) -> PublicId | None:
    """Read a public id back; ``None`` when it cannot be one of ours.

    With ``prefix`` only that prefix is accepted; without, any (an item's prefix follows from its type).
    """
    head, _, digits = text.rpartition("_")
    if not head or len(digits) != _LENGTH or not _HEX_DIGITS.issuperset(digits):
        return None
    if prefix is not None and head != prefix:
        return None
    return read_raw(bytes.fromhex(digits))
