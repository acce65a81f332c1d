"""Write the log: one JSON object a line, with ids and durations, never with content."""

from __future__ import annotations

import json
import logging
import traceback
from datetime import datetime, timezone
from typing import Any, Final

# What every record has, and what the server adds for terminals; anything else was handed over as `extra`.
_OWN: Final = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "color_message"})


class JsonFormatter(logging.Formatter):
    """Format a record as JSON, with the values of logging's ``extra`` beside the message.

    An exception is told by its type and place alone: its text may quote what a user wrote.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
            **{name: value for name, value in vars(record).items() if name not in _OWN},
        }
        if record.exc_info and record.exc_info[1] is not None:
            line.update(describe(record.exc_info[1]))
        return json.dumps(line, default=str)


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
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            "hansard": {"level": level},
            "uvicorn": {"level": level},
            "uvicorn.access": {"level": "CRITICAL", "propagate": False},
        },
    }
