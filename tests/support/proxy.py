"""Stand between a client and a server, and be the network: slow, silent, or torn at a chosen byte.

The proxy runs on the caller's event loop. It knows nothing of what it carries; `split_messages` does.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

HOST = "127.0.0.1"
CHUNK = 65536


class Direction(Enum):
    """Name the two ways of a connection."""

    REQUEST = "client to server"
    ANSWER = "server to client"


class Cut(NamedTuple):
    """Say where the next connection that carries bytes is torn, or stalls: after this many in this direction."""

    direction: Direction
    after: int
    stalls: bool = False


@dataclass(eq=False)
class Link:
    """Hold one connection through the proxy; each direction writes to one of its ends."""

    ends: dict[Direction, asyncio.StreamWriter]
    client_may_speak: bool = True
    due: dict[Direction, float] = field(default_factory=lambda: dict.fromkeys(Direction, 0.0))

    def tear(self) -> None:
        """End the connection at once, for both sides."""
        for end in self.ends.values():
            end.transport.abort()


class Proxy:
    """Count and record what passes, and do harm when asked to."""

    def __init__(self, target: tuple[str, int], *, round_trip: float) -> None:
        self.target = target
        self.round_trip = round_trip
        self.flushes = 0
        self.carried: dict[Direction, bytearray] = {direction: bytearray() for direction in Direction}
        self.links: set[Link] = set()
        self.cut: Cut | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._stalled = asyncio.Event()
        self._handlers: set[asyncio.Task[None]] = set()

    def forget(self) -> None:
        """Begin to count and to record anew."""
        self.flushes = 0
        for carried in self.carried.values():
            carried.clear()

    @property
    def silent(self) -> bool:
        """Say whether nothing has passed since `forget`."""
        return not any(self.carried.values())

    def tear_all(self) -> None:
        """End every connection."""
        for link in list(self.links):
            link.tear()

    async def deserted(self) -> None:
        """Return when every connection has ended."""
        if self._handlers:
            await asyncio.wait(set(self._handlers))

    def stall(self) -> None:
        """Carry nothing from now on, and keep every connection open."""
        self._flowing.clear()
        self._stalled.set()

    async def stalled(self) -> None:
        """Return when nothing is carried any more."""
        await self._stalled.wait()

    def resume(self) -> None:
        """Carry again, beginning with what has waited."""
        self._stalled.clear()
        self._flowing.set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Begin to carry a connection."""
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._handlers.add(task)
        task.add_done_callback(self._handlers.discard)

    async def close(self) -> None:
        """End every connection and wait for what served them."""
        self.resume()
        self.tear_all()
        for task in list(self._handlers):
            task.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until either side ends it."""
        answers, server = await asyncio.open_connection(*self.target)
        link = Link({Direction.REQUEST: server, Direction.ANSWER: writer})
        self.links.add(link)
        for end in link.ends.values():
            end.transport.set_write_buffer_limits(high=0)  # so that drained means gone
        try:
            await asyncio.gather(
                self._carry(reader, link, Direction.REQUEST), self._carry(answers, link, Direction.ANSWER)
            )
        except ConnectionError:
            pass
        finally:
            self.links.discard(link)
            link.tear()

    async def _carry(self, source: asyncio.StreamReader, link: Link, direction: Direction) -> None:
        end = link.ends[direction]
        while data := await source.read(CHUNK):
            await self._flowing.wait()
            self._note(link, direction, data)
            cut = self.cut
            if cut is not None and cut.direction is direction:
                await self._carry_until(cut, link, data)
            else:
                await self._deliver(end, link, direction, data)
        link.tear()

    def _note(self, link: Link, direction: Direction, data: bytes) -> None:
        self.carried[direction] += data
        if direction is Direction.ANSWER:
            link.client_may_speak = True
        elif link.client_may_speak:
            # However many segments a flush becomes, the client speaks once between two answers.
            self.flushes += 1
            link.client_may_speak = False

    async def _deliver(self, end: asyncio.StreamWriter, link: Link, direction: Direction, data: bytes) -> None:
        if not self.round_trip:
            end.write(data)
            await end.drain()
            return
        loop = asyncio.get_running_loop()
        due = link.due[direction] = max(loop.time() + self.round_trip / 2, link.due[direction] + 1e-6)
        loop.call_at(due, end.write, data)

    async def _carry_until(self, cut: Cut, link: Link, data: bytes) -> None:
        end = link.ends[cut.direction]
        end.write(data[: cut.after])
        await end.drain()
        if len(data) < cut.after:
            self.cut = cut._replace(after=cut.after - len(data))
            return
        self.cut = None
        if cut.stalls:
            self.stall()
            await self._flowing.wait()
            end.write(data[cut.after :])
            return
        link.tear()
        raise ConnectionAbortedError


@asynccontextmanager
async def running_proxy(host: str, port: int, *, round_trip: float = 0.0) -> AsyncIterator[tuple[Proxy, int]]:
    """Run a proxy to a server and yield it with its port; a round trip takes ``round_trip`` seconds longer."""
    proxy = Proxy((host, port), round_trip=round_trip)
    listening = socket.create_server((HOST, 0))
    # A small window, so that a proxy that stalls soon stalls its clients as well.
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, CHUNK)
    # asyncio sets it only for sockets that name their protocol, as accepted ones do not: the last piece of an answer
    # would wait for the acknowledgement of the one before, which a client may put off for 40 ms.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server = await asyncio.start_server(proxy.accept, sock=listening)
    try:
        yield proxy, listening.getsockname()[1]
    finally:
        server.close()
        await proxy.close()
        await server.wait_closed()


@asynccontextmanager
async def proxied(url: str, *, round_trip: float = 0.0) -> AsyncIterator[tuple[Proxy, str]]:
    """Run a proxy to the database of ``url`` and yield it with the URL that leads through it."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    async with running_proxy(parts.hostname, parts.port, round_trip=round_trip) as (proxy, port):
        credentials, _, _ = parts.netloc.rpartition("@")
        yield proxy, urlunsplit(parts._replace(netloc=f"{credentials}@{HOST}:{port}"))


def split_messages(carried: bytes) -> Iterator[tuple[str, int, int]]:
    """Yield the type, the first byte and the end of every message of PostgreSQL's protocol, after the start-up."""
    start = 0
    while start < len(carried):
        end = start + 1 + int.from_bytes(carried[start + 1 : start + 5], "big")
        yield chr(carried[start]), start, end
        start = end
