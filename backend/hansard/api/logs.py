"""Write the log: one JSON object a line, with ids and durations, never with content."""

from __future__ import annotations

import asyncio
import json
import logging
import traceback
from collections.abc import Iterable, Iterator
from contextlib import nullcontext, suppress
from datetime import datetime, timezone
from select import PIPE_BUF
from typing import TYPE_CHECKING, Any, Final, TextIO

if TYPE_CHECKING:
    _TextHandler = logging.StreamHandler[TextIO]
else:
    _TextHandler = logging.StreamHandler  # before Python 3.11 it cannot name its stream's type

# The logger of the lines of requests, the only ones that are many.
REQUESTS: Final = "hansard.requests"

# What every record has, and what the server adds for terminals; anything else was handed over as `extra`.
_OWN: Final = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "color_message"})


_UTC: Final = "+00:00"
# `json.dumps` would make another one for every line.
_encode: Final = json.JSONEncoder(default=str).encode


class JsonFormatter(logging.Formatter):
    """Format a record as JSON, with the values of logging's ``extra`` beside the message.

    An exception is told by its type and place alone: its text may quote what a user wrote.
    """

    _second: tuple[int, str] = (-1, "")

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        line: dict[str, Any] = {
            "time": self._time(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
            **{name: value for name, value in vars(record).items() if name not in _OWN},
        }
        if record.exc_info and record.exc_info[1] is not None:
            line.update(describe(record.exc_info[1]))
        return _encode(line)

    def _time(self, seconds: float) -> str:
        """Spell a time to the millisecond; the second that was told last is spelt already."""
        second, spelt = self._second
        if second != int(seconds):
            second = int(seconds)
            spelt = datetime.fromtimestamp(second, timezone.utc).isoformat()[: -len(_UTC)]
            self._second = second, spelt
        return f"{spelt}.{int((seconds - second) * 1000):03d}{_UTC}"


class GatheringHandler(_TextHandler):
    """Write the lines of requests that end in one turn of the event loop with one call; everything else at once.

    Each call lets another thread have the interpreter, and on SQLite one is waiting for it: requests that share a
    commit end in the same turn, and have to share what comes after it, too. Nothing else may wait for the end of a
    turn: the last of a process never ends.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._records: list[logging.LogRecord] = []
        self._due: asyncio.AbstractEventLoop | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Take one line; those of a turn are formatted in a row, which takes each half as long."""
        try:
            self._records.append(record)
            if record.name != REQUESTS or record.levelno > logging.INFO or not self._is_to_come():
                self.flush()
        except Exception:  # noqa: BLE001 - as every handler of logging: never the reason that a request fails
            self.handleError(record)

    def flush(self) -> None:
        """Write what was gathered."""
        with self.lock or nullcontext():
            records, self._records, self._due = self._records, [], None
            for piece in _pieces(filter(None, map(self._line, records))):
                self.stream.write(piece)
                super().flush()

    def _line(self, record: logging.LogRecord) -> str:
        try:
            return self.format(record) + self.terminator
        except Exception:  # noqa: BLE001 - as every handler of logging: never the reason that a request fails
            self.handleError(record)
            return ""

    def _is_to_come(self) -> bool:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # there is none in this thread
            return False
        if self._due is not loop:
            loop.call_soon(self._flush_in_turn)
            self._due = loop
        return True

    def _flush_in_turn(self) -> None:
        with suppress(OSError, ValueError):  # nobody reads any more
            self.flush()


def _pieces(lines: Iterable[str]) -> Iterator[str]:
    """Put lines together, up to what a pipe takes whole: other processes may write to the same one."""
    piece = ""
    for line in lines:
        if piece and len(piece) + len(line) > PIPE_BUF:
            yield piece
            piece = ""
        piece += line
    if piece:
        yield piece


def _message(record: logging.LogRecord) -> str:
    message = record.getMessage()
    # Of a failed task, asyncio's further lines show the exception with its text.
    return message.partition("\n")[0] if record.name == "asyncio" else message


def describe(error: BaseException) -> dict[str, str]:
    """Return what may be logged of an exception: its type, and the line of code that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "unknown"
    return {"error": type(error).__qualname__, "where": place}


def config(level: str = "INFO") -> dict[str, Any]:
    """Return a `logging.config.dictConfig` that sends everything to stderr as JSON.

    The server's own access log is off: its lines hold query strings.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": f"{__name__}.JsonFormatter"}},
        "handlers": {
            "stderr": {"()": f"{__name__}.GatheringHandler", "formatter": "json", "stream": "ext://sys.stderr"},
        },
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            "hansard": {"level": level},
            "uvicorn": {"level": level},
            "uvicorn.access": {"level": "CRITICAL", "propagate": False},
        },
    }
