"""How long until it serves, and what an idle worker holds: `make bench ARGS='startup'`.

Processor time is what counts on a busy machine; the wall time of a start is the best of several.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.http import SECRET
from benchmarks.results import conditions, keep
from benchmarks.server import durable_postgres
from benchmarks.tables import table
from benchmarks.wrk import processor_seconds
from hansard.database import migrations
from tests.support.served import Served

ROUNDS = 7
MOST_IMPORT = 0.5
MOST_READY = 2.0
MOST_MEGABYTES = 120
SETTLE_SECONDS = 2
# Beside each of our modules, what it is built on: the difference is our own.
IMPORTS = {
    "the library's dependencies": "asyncio, sqlite3, sqlalchemy, sqlmodel",
    "hansard": "hansard",
    "the service's dependencies": "fastapi, uvicorn, typer, pydantic_settings, sqlmodel, jwt",
    "hansard.cli.main": "hansard.cli.main",
}
TIMED = "import time; began = time.process_time(); import {}; print(time.process_time() - began)"


async def main(arguments: Sequence[str]) -> None:
    """Measure and print; fail beyond what a start may take."""
    parser = argparse.ArgumentParser(prog="startup", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args(arguments)
    imports = _imports(options.rounds)
    with TemporaryDirectory(prefix="hansard-startup-") as folder, durable_postgres() as server:
        document = conditions(server)
        database = server.clone()
        migrations.upgrade(database)
        settings = {"DATABASE_URL": database, "JWT_SECRET_KEY": SECRET}
        starts = {
            "SQLite, a new file": _starts(options.rounds, Path(folder), lambda number: _embedded(folder, number)),
            "SQLite, again": _starts(options.rounds, Path(folder), lambda _: _embedded(folder, 0)),
            "PostgreSQL": _starts(options.rounds, Path(folder), lambda _: settings),
        }
    document |= {"imports": imports, "starts": starts, "most_ready": MOST_READY, "most_megabytes": MOST_MEGABYTES}
    path = keep("startup", document, markdown(document), quick=options.rounds < ROUNDS)
    print(markdown(document), f"\n\nWritten to {path}")
    own = imports["hansard"] - imports["the library's dependencies"]
    assert own < MOST_IMPORT, f"importing the core takes {own:.2f} s beside its dependencies"
    for name, found in starts.items():
        assert found["megabytes"] < MOST_MEGABYTES, f"{name}: an idle worker holds {found['megabytes']:.0f} MB"


def markdown(document: dict[str, Any]) -> str:
    """Return both tables."""
    imports = [[name, f"{seconds:.2f}"] for name, seconds in document["imports"].items()]
    starts = [
        [
            name,
            *(f"{found[key]:.2f}" for key in ("best_seconds", "median_seconds", "cpu_seconds")),
            f"{found['megabytes']:.0f}",
        ]
        for name, found in document["starts"].items()
    ]
    heads = ["`serve`", "ready, best s", "median s", "CPU s", "idle worker, MB"]
    return "\n\n".join([table(["import of", "CPU s"], imports), table(heads, starts)])


def resident_megabytes(pid: int) -> float:
    """Return how much of a process is in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) / 1024


def _imports(rounds: int) -> dict[str, float]:
    taken: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, modules in IMPORTS.items():
            said = subprocess.run(
                [sys.executable, "-c", TIMED.format(modules)], check=True, capture_output=True, text=True
            )
            taken.setdefault(name, []).append(float(said.stdout))
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def _embedded(folder: str, number: int) -> dict[str, str]:
    return {"DATABASE_URL": f"sqlite:///{folder}/{number}.db"}


def _starts(rounds: int, folder: Path, settings: Callable[[int], dict[str, str]]) -> dict[str, float]:
    walls, cpu, megabytes = [], [], []
    for number in range(rounds):
        served = Served(folder, **settings(number))
        began = time.perf_counter()
        served.start()
        walls.append(time.perf_counter() - began)
        try:
            cpu.append(processor_seconds(served.pid))
            time.sleep(SETTLE_SECONDS)
            megabytes.append(resident_megabytes(served.pid))
        finally:
            served.stop()
    return {
        "best_seconds": min(walls),
        "median_seconds": statistics.median(walls),
        "cpu_seconds": statistics.median(cpu),
        "megabytes": statistics.median(megabytes),
    }
