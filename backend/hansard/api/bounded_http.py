"""Read HTTP with the parser in C, within the bounds of `hansard.api.http_protocol`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from hansard.api.http_protocol import HEAD_BYTES, refusal
from hansard.api.whole_answers import WholeAnswers

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application


class BoundedHttp(HttpToolsProtocol):
    """Be a connection that ends when its head, or what stands between the pieces of its body, becomes too large."""

    # Bytes that came since the last of a body, or since the last request ended.
    _beside = 0
    _head = 0
    _in_body = False
    _too_large = False
    _served: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in the class above
        """Take over a connection."""
        super().connection_made(transport)
        self.transport = WholeAnswers(transport, self.loop)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request that is served; the class above tells the last that came, which may wait behind it."""
        if self._served is not None and not self._served.response_complete:
            self._served.disconnected = True
            self._served.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take in what came; what the parser still holds back for want of an end is counted, too."""
        self._beside += len(data)
        self._unset_keepalive_if_required()
        rest: memoryview | None = memoryview(data)
        try:
            while rest is not None:
                rest = self._parse(rest)
        except HttpParserError:
            self.send_400_response("")
            return
        if self._beside > HEAD_BYTES and not self.transport.is_closing():
            self._too_large = True
            self.send_400_response("")

    def send_400_response(self, msg: str) -> None:
        """Refuse in the API's words, unless that would be taken for another answer, and end the connection."""
        if self._is_next_to_answer():
            self.transport.write(refusal(too_large=self._too_large))
        self.transport.close()

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._head, self._in_body = 0, False
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take in a part of the address."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take in a header; what follows a body is counted and dropped: nobody may add to what was decided on."""
        self._count(len(name) + len(value))
        if not self._in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """End the head."""
        if self._is_offer():
            return
        self._beside, self._in_body = 0, True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take in a part of the body, which has a limit of its own."""
        self._beside = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request."""
        if self._is_offer():
            return
        self._beside, self._in_body = 0, False
        super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._served = cycle
        super()._start_asgi_task(cycle, app)

    def _is_next_to_answer(self) -> bool:
        """Say whether the client waits for no other answer than that to what is just coming in."""
        # There is none before the first request.
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is None or not self._in_body:
            return cycle is None or cycle.response_complete
        return not cycle.response_started and not self.pipeline

    def _parse(self, data: memoryview) -> memoryview | None:
        """Read on, and return what is left behind a request that offers to go on in another protocol.

        An offer is ignored; all clients in Java make one. The parser, though, ends such a request with its head: a
        body would be lost, or be taken for the next requests. So the head is read once more, without the offer.
        """
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as offer:
            head = self._head_without_offer()
            self.parser = HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            self.parser.feed_data(head)
            return data[offer.args[0] :]
        return None

    def _is_offer(self) -> bool:
        # A tunnel is no offer, but all that its request asks for; it has no path, and is refused for that.
        return self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"

    def _head_without_offer(self) -> bytes:
        version = self.parser.get_http_version().encode("ascii")
        headers = b"".join(b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade")
        return b"%b %b HTTP/%b\r\n%b\r\n" % (self.parser.get_method(), self.url, version, headers)

    def _count(self, size: int) -> None:
        self._head += size
        if self._head > HEAD_BYTES:
            self._too_large = True
            raise ValueError("the head of the request is too large")
