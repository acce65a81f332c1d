"""Send server-sent events until there are no more or the client has left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Iterable
from contextlib import aclosing
from typing import Annotated, Final, NamedTuple, TypeAlias

from fastapi import Header, Response
from starlette.types import Message, Receive, Scope, Send

from hansard.api.errors import Fault, fault_of, unexpected
from hansard.api.logs import describe
from hansard.errors import HansardError, InvalidInput
from hansard.utils.json_text import write_json
from hansard.utils.sse import spell_event

LastEventId: TypeAlias = Annotated[
    str | None,
    Header(alias="Last-Event-ID", description="The `id` of the last event seen; browsers send it by themselves."),
]

# Proxies close a connection on which nothing is sent for a minute, some sooner.
_SILENT_SECONDS: Final = 15.0
_KEEP_ALIVE: Final = b": keep-alive\n\n"


class Frame(NamedTuple):
    """Hold one event as it is sent; ``id`` is what the client says it has seen when it comes back."""

    id: str
    type: str
    data: str


class EventStream(Response):
    """Send pages of events as they come, and nothing else for as long as none do."""

    media_type = "text/event-stream"

    def __init__(self, pages: AsyncGenerator[Iterable[Frame], None]) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        # The base class knows how long its own empty body is.
        del self.headers["content-length"]
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send everything; whoever leaves early is not waited for."""
        telling = asyncio.create_task(self._tell(scope, send))
        leaving = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait({telling, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _end(telling, leaving)
        if not telling.cancelled():
            telling.result()

    async def _tell(self, scope: Scope, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(self._chunks(scope)) as chunks:
            async for chunk in chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _chunks(self, scope: Scope) -> AsyncGenerator[bytes, None]:
        try:
            async with aclosing(_with_silence(self._pages)) as pages:
                async for page in pages:
                    yield _KEEP_ALIVE if page is None else b"".join(map(_spell, page))
        except HansardError as error:
            scope["hansard.error"] = describe(error)
            yield _spell_fault(fault_of(error))
        except Exception as error:  # noqa: BLE001 - the answer has begun, so this is the last place that can tell
            scope["hansard.error"] = describe(error)
            yield _spell_fault(unexpected(scope.get("hansard.request_id", "")))


def read_sequence(text: str, *, param: str) -> int:
    """Return the number of an event."""
    if not (text.isascii() and text.isdecimal() and len(text) < 19):  # noqa: PLR2004 - the digits of 64 bits
        raise InvalidInput(f"Invalid '{param}': expected the number of an event.", param=param)
    return int(text)


async def _with_silence(
    pages: AsyncGenerator[Iterable[Frame], None],
) -> AsyncGenerator[Iterable[Frame] | None, None]:
    """Yield the pages, and ``None`` whenever there was none for a while."""
    coming: asyncio.Task[Iterable[Frame]] | None = None
    try:
        while True:
            coming = coming or asyncio.create_task(_next(pages))
            done, _ = await asyncio.wait({coming}, timeout=_SILENT_SECONDS)
            if not done:
                yield None
                continue
            page, coming = coming.result(), None
            yield page
    except StopAsyncIteration:
        return
    finally:
        if coming is not None:
            await _end(coming)
        await pages.aclose()


async def _next(pages: AsyncGenerator[Iterable[Frame], None]) -> Iterable[Frame]:
    return await pages.__anext__()


async def _gone(receive: Receive) -> None:
    message: Message = {"type": ""}
    while message["type"] != "http.disconnect":
        message = await receive()


async def _end(*tasks: asyncio.Task[object] | asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    waiting: Awaitable[object] = asyncio.gather(*tasks, return_exceptions=True)
    await waiting


def _spell(frame: Frame) -> bytes:
    return spell_event(id_=frame.id, type_=frame.type, data=frame.data)


def _spell_fault(fault: Fault) -> bytes:
    # The API's own event for this; it has no number, because it is not part of what was said.
    event = {"type": "error", "code": fault.code, "message": fault.message, "param": fault.param, "sequence_number": 0}
    return b"event: error\ndata: " + write_json(event) + b"\n\n"
