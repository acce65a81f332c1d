"""Start contestants as processes, ask them in turn, and keep what they answer."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.results import ROOT

T = TypeVar("T")
PATIENCE_SECONDS = 600.0
LOGS = ROOT / ".cache" / "bench" / "logs"


class Unable(Exception):
    """Say that a contestant cannot do what it was asked for."""


class Failed(Exception):
    """Say that a contestant broke or took too long; it is out of the race, and reported so."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Name a contestant: ``python -m MODULE ARGUMENTS`` in the environment of ``peer``, or in our own.

    ``batch`` is how many messages it is given at once before the race begins, where a turn at a time would take too
    long.
    """

    name: str
    module: str
    arguments: Sequence[str] = ()
    peer: str | None = None
    database: str = "postgresql"
    note: str = ""
    batch: int = 2


class Racer:
    """Be one contestant at work."""

    def __init__(self, entry: Entry, process: asyncio.subprocess.Process) -> None:
        self.entry = entry
        self.process = process
        self.failure: str | None = None

    async def ask(self, do: str, **details: Any) -> dict[str, Any]:
        """Return the answer to one question; raises `Unable` or `Failed`."""
        if self.failure is not None:
            raise Failed(self.failure)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps({"do": do, **details}).encode() + b"\n")
            line = await asyncio.wait_for(self.process.stdout.readline(), PATIENCE_SECONDS)
            answer: dict[str, Any] = json.loads(line) if line else {"error": "it ended"}
        except asyncio.TimeoutError:
            answer = {"error": f"no answer within {PATIENCE_SECONDS:.0f} s"}
        except (ConnectionError, ValueError) as error:
            answer = {"error": str(error)}
        if "unable" in answer:
            raise Unable
        if "error" in answer:
            self.failure = f"{do}: {answer['error']}"
            raise Failed(self.failure)
        return answer


@asynccontextmanager
async def racing(entry: Entry, *, python: Path | None = None) -> AsyncIterator[Racer]:
    """Start a contestant, and end it."""
    LOGS.mkdir(parents=True, exist_ok=True)
    command = [str(python or sys.executable), "-m", entry.module, *entry.arguments]
    with (LOGS / f"{slug(entry.name)}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=ROOT,
            env=_environment(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            limit=2**26,
        )
    racer = Racer(entry, process)
    try:
        yield racer
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except asyncio.TimeoutError:
            process.kill()
            await process.wait()


def rotations(rounds: int, entries: Sequence[T]) -> Iterator[list[T]]:
    """Yield an order for each round, so that nobody always runs first, or always after the same one's dirty pages."""
    for number in range(rounds):
        at = number % len(entries)
        order = [*entries[at:], *entries[:at]]
        yield order if number % 2 == 0 else order[::-1]


def slug(name: str) -> str:
    """Return a name that can be a file's."""
    return "".join(one if one.isalnum() else "-" for one in name.lower()).strip("-")


def _environment() -> Mapping[str, str]:
    # No telemetry, no traces, no update checks: a peer is measured at its best, and stays on this machine.
    quiet = {
        "PYTHONUNBUFFERED": "1",
        "OPENAI_AGENTS_DISABLE_TRACING": "1",
        "LANGSMITH_TRACING": "false",
        "AGNO_TELEMETRY": "false",
        "OTEL_SDK_DISABLED": "true",
        "CHAINLIT_APP_ROOT": str(LOGS),  # it writes a configuration where it runs
    }
    kept = {
        name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PG_BIN") if name in os.environ
    }
    return {**kept, **quiet}
