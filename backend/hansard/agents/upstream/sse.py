"""Read server-sent events from bytes that come in pieces of any size."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from hansard.agents.upstream.failure import AnswerFailed

MOST_BYTES: Final = 32 * 1024 * 1024

_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class EventReader:
    """Gather the data of events, whatever the pieces cut through: a line end, a character.

    Lines are split as bytes and decoded when they are whole. The HTTP client's own reader would put U+FFFD in place
    of what is no UTF-8, so that an answer would be altered and nobody told.
    """

    def __init__(self, *, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._line: list[bytes] = []
        self._data: list[bytes] = []
        self._size = 0
        self._first = True
        self._after_return = False

    def feed(self, piece: bytes) -> Iterator[str]:
        """Yield the data of every event that this piece completes; an event without its blank line is none."""
        if not piece:
            return
        if self._after_return:
            # The newline of a CRLF that was cut in two: its line has ended already.
            piece = piece.removeprefix(b"\n")
        self._after_return = piece.endswith(b"\r")
        *ends, rest = _LINE_END.split(piece)
        for end in ends:
            self._grow(end)
            yield from self._end_line()
        self._grow(rest)

    def _grow(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._most_bytes:
            raise AnswerFailed(f"The model's server sent an event of more than {self._most_bytes} bytes.")
        self._line.append(piece)

    def _end_line(self) -> Iterator[str]:
        line = b"".join(self._line)
        self._line.clear()
        if self._first:
            line, self._first = line.removeprefix(_BYTE_ORDER_MARK), False
        if not line:
            yield from self._end_event()
            return
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
        else:
            # Comments and fields that do not matter here end with their line, so a server may ping for ever.
            self._size -= len(line)

    def _end_event(self) -> Iterator[str]:
        data, self._data, self._size = self._data, [], 0
        if not data:
            return
        try:
            yield b"\n".join(data).decode()
        except UnicodeDecodeError:
            raise AnswerFailed("The model's server sent text that is not UTF-8.") from None
