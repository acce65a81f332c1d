"""Bound how long a request may take: its body to arrive, its answer to begin. See docs/decisions/0020-edge.md."""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Iterable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hansard.api.errors import Fault, in_doubt
from hansard.api.idempotency import HEADER
from hansard.utils.witness import Witness, watching

_KEY: Final = HEADER.lower().encode()
_CLOCK: Final = "hansard.clock"


class TimeLimit:
    """Stop requests that take too long, and tell their senders whether anything was done.

    The body has ``body_seconds`` to arrive, then the answer has ``answer_seconds`` to begin. An answer that has begun
    is never cut, so streams are not; a handler that waits for something else than the database calls `without_limit`.
    """

    def __init__(self, app: ASGIApp, *, body_seconds: float, answer_seconds: float) -> None:
        self._app = app
        self._body_seconds = body_seconds
        self._answer_seconds = answer_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        clock = scope[_CLOCK] = _Clock(receive, send, self._body_seconds, self._answer_seconds)
        witness = Witness()
        try:
            with watching(witness):
                await self._app(scope, clock.receive, clock.send)
        except asyncio.CancelledError:
            if not clock.is_cause():
                raise
            fault = self._too_slow(scope["headers"], clock, witness)
            if fault.status != 408:  # noqa: PLR2004 - a slow client is not an error of ours
                scope["hansard.error"] = {"error": "TimeLimit", "outcome": str(fault.code)}
            await fault.response()(scope, receive, send)
        finally:
            clock.stop()

    def _too_slow(self, headers: Iterable[tuple[bytes, bytes]], clock: _Clock, witness: Witness) -> Fault:
        if clock.reading:
            # The rest may still come: only closing the connection ends it.
            message = f"The request body took longer than {self._body_seconds:g} seconds to arrive."
            return Fault(408, message, "request_timeout", retry=True, headers={"connection": "close"})
        if witness.in_doubt:
            return in_doubt()
        late = f"The answer took longer than {self._answer_seconds:g} seconds"
        if witness.done:
            if any(name == _KEY for name, _ in headers):
                message = f"{late}, but what was asked for is done. Send it again with its key, and be answered."
                return Fault(503, message, "done_too_late", retry=True, headers={"retry-after": "1"})
            message = f"{late}, but what was asked for is done. Read before you write again."
            return Fault(503, message, "done_too_late")
        message = f"{late}; nothing was written. Please try again."
        return Fault(503, message, "timed_out", retry=True, headers={"retry-after": "1"})


def without_limit(scope: Scope) -> None:
    """Let this request's answer begin when it will; its body still has to arrive in time."""
    clock = scope.get(_CLOCK)
    if clock is not None:
        clock.let_go()


class _Clock:
    """Cancel the request's task when its time is over."""

    __slots__ = (
        "_answer_seconds",
        "_arrived",
        "_body_end",
        "_end",
        "_expired",
        "_loop",
        "_over",
        "_receive",
        "_send",
        "_task",
        "_timer",
        "_wakes",
        "reading",
    )

    def __init__(self, receive: Receive, send: Send, body_seconds: float, answer_seconds: float) -> None:
        self.reading = False
        self._receive = receive
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._body_end = self._loop.time() + body_seconds
        self._answer_seconds: float | None = answer_seconds
        self._arrived = False
        self._over = False
        self._expired = False
        self._timer: asyncio.TimerHandle | None = None
        self._wakes = math.inf
        self._allow(answer_seconds)

    async def receive(self) -> Message:
        """Return the next message; as long as the body is not all there, its own limit holds."""
        if self._arrived or self._over:
            return await self._receive()
        self.reading = True
        left = self._body_end - self._loop.time()
        if left <= 0 and not self._expired:
            # Of a sender who is quick enough something is always there, before any timer.
            self._expire()
            await asyncio.sleep(0)
        self._allow(left)
        message = await self._receive()
        self.reading = False
        self._arrived = not message.get("more_body", False)
        self._allow(self._answer_seconds)
        return message

    async def send(self, message: Message) -> None:
        """Pass a message on; an answer that has begun is not cut."""
        if not self._over:
            self.stop()
        await self._send(message)

    def let_go(self) -> None:
        """Wait for the answer as long as it takes."""
        self._answer_seconds = None
        self._allow(None)

    def stop(self) -> None:
        """Let nothing expire any more."""
        self._over = True
        self._allow(None)

    def is_cause(self) -> bool:
        """Say whether the task was cancelled by this clock and by nobody else; then it is no longer cancelled."""
        if not self._expired or self._over or self._task is None:
            return False
        return sys.version_info < (3, 11) or self._task.uncancel() == 0

    def _allow(self, seconds: float | None) -> None:
        self._end = math.inf if seconds is None or self._expired else self._loop.time() + seconds
        if self._timer is not None and (self._end == math.inf or self._end < self._wakes):
            self._timer.cancel()
            self._timer = None
        # One that goes off too early looks again: for most requests it is the only one, and never does.
        if self._timer is None and self._end < math.inf:
            # Remembered here: a timer of uvloop's that is due at once does not know when it is due.
            self._wakes = self._end
            self._timer = self._loop.call_at(self._end, self._look)

    def _look(self) -> None:
        self._timer = None
        left = self._end - self._loop.time()
        if left > 0:
            self._allow(left)
        else:
            self._expire()

    def _expire(self) -> None:
        self._expired = True
        if self._task is not None:
            self._task.cancel()
