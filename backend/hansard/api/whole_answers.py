"""Send an answer's head together with its body: one call to the system and one packet instead of two of each."""

from __future__ import annotations

import asyncio
from typing import Final

_HEAD: Final = b"HTTP/"
# To copy more than this costs more than another call.
_COPIED_BYTES: Final = 64 * 1024


class WholeAnswers(asyncio.Transport):
    """Be the transport of a connection, as far as a server of HTTP needs one.

    A head waits for what follows it, but no longer than for the end of this turn of the event loop: a stream that has
    nothing to tell yet begins all the same.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._head: bytes | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send ``data`` behind everything that was sent before, unless the connection ends or has ended."""
        if self._transport.is_closing():
            # That of uvloop takes it for an error.
            return
        if self._head is not None:
            head, self._head = self._head, None
            # Never `writelines`: that of asyncio (from 3.12 on) does not get rid of an empty piece, and pauses nobody.
            if len(data) <= _COPIED_BYTES:
                data = head + data
            else:
                self._transport.write(head)
            self._transport.write(data)
        elif data[: len(_HEAD)] == _HEAD:
            self._head = bytes(data)
            self._loop.call_soon(self._send_head)
        else:
            self._transport.write(data)

    def is_closing(self) -> bool:
        """Say whether the connection ends or has ended."""
        return self._transport.is_closing()

    def close(self) -> None:
        """End the connection when everything is sent."""
        self._send_head()
        self._transport.close()

    def _send_head(self) -> None:
        head, self._head = self._head, None
        # The client may have left since it was written.
        if head is not None and not self._transport.is_closing():
            self._transport.write(head)
