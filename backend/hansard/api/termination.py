"""Learn at once that the process is being stopped.

Servers tell an application only when the last connection is closed, and a stream that follows something is open for
as long as it lives: it has to end first.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def on_termination(react: Callable[[], object]) -> Iterator[None]:
    """Call ``react`` in the event loop when a signal stops the process, beside what the server does about it."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python lets only the main thread handle signals; whoever serves in another stops it in another way.
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(react)
        earlier = before[signal.Signals(number)]
        if callable(earlier):
            earlier(number, frame)

    for number, earlier in before.items():
        if callable(earlier):
            signal.signal(number, handle)
    try:
        yield
    finally:
        for number, earlier in before.items():
            if callable(earlier):
                signal.signal(number, earlier)
