"""Race Hansard against the raw driver, hand-written SQL, an ORM and the stores that people use instead.

All run in one go, interleaved, on one durable server, and each figure is a median: read the ratios, for the
milliseconds are those of one machine on one day.
"""

import argparse
import asyncio
import os
import sqlite3
import statistics
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import psycopg

from benchmarks.entries import ENTRIES
from benchmarks.environments import NotInstalledError, interpreter
from benchmarks.racing import Entry, Failed, Racer, Unable, racing, rotations, slug
from benchmarks.report import markdown
from benchmarks.results import conditions, keep
from benchmarks.server import durable_postgres
from tests.support.pg_server import PostgresServer
from tests.support.proxy import Proxy, proxied

ROUND_TRIP = 0.020
# The same way through the proxy, without the distance.
NEARBY = 1e-6


class Workload(NamedTuple):
    """Say how often something is done in a round; ``writers`` do it at the same time."""

    name: str
    do: str
    times: int
    writers: int = 1
    distant: bool = False


class Size(NamedTuple):
    """Say how long a run is; the round trips of peers, which do not change from day to day, need a whole one."""

    rounds: int
    share: float
    batch: int
    conversations: int
    items: int
    weighed: int
    distant: int
    peers_far: bool


WHOLE = Size(rounds=7, share=1.0, batch=2, conversations=500, items=1000, weighed=20, distant=7, peers_far=True)
QUICK = Size(rounds=2, share=0.4, batch=20, conversations=500, items=1000, weighed=4, distant=2, peers_far=False)
WRITERS = 16
WORKLOADS = (
    Workload("append", "append", 60, distant=True),
    Workload("append turn", "turn", 40, distant=True),
    Workload("append to 1000", "append_long", 30),
    Workload("load 1000", "load", 10, distant=True),
    Workload("last 50", "last", 30, distant=True),
    Workload("list 50", "list", 30, distant=True),
    Workload("append, 16 at once", "append", 480, writers=WRITERS),
)


@dataclass
class Kept:
    """Hold what was measured of one contestant in one workload: a list of walls for each round."""

    walls: list[list[float]] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    def add(self, answer: dict[str, Any]) -> None:
        """Keep a round."""
        walls = answer["walls"]
        self.walls.append(walls)
        self.rates.append(len(walls) / answer["seconds"])
        self.processor.append(answer["processor"] / len(walls))

    def figures(self) -> dict[str, Any]:
        """Return milliseconds, microseconds of the client's processor time, and operations a second."""
        walls = sorted(wall * 1e3 for walls in self.walls for wall in walls)
        return {
            "p50_ms": statistics.median(walls),
            "p95_ms": walls[min(len(walls) - 1, int(len(walls) * 0.95))],
            "cpu_us": statistics.median(self.processor) * 1e6,
            "per_second": statistics.median(self.rates),
            "rounds_p50_ms": [statistics.median(walls) * 1e3 for walls in self.walls],
            "rounds_per_second": self.rates,
        }


class Race:
    """Run the contestants and gather what comes out."""

    def __init__(self, size: Size, server: PostgresServer, folder: Path) -> None:
        self._size = size
        self._server = server
        self._folder = folder
        self._racers: list[Racer] = []
        self._places: dict[str, str] = {}
        self._measured: dict[str, dict[str, Kept]] = {}
        self.found: dict[str, dict[str, Any]] = {}

    async def enter(self, stack: AsyncExitStack, entry: Entry) -> None:
        """Let a contestant in: its own environment, its own database, its own process."""
        found = self.found[entry.name] = {"database": entry.database, "peer": entry.peer, "note": entry.note}
        try:
            python = await interpreter(entry.peer) if entry.peer else None
        except NotInstalledError as error:
            found["missing"] = f"not installed: {error}"
            return
        place = self._server.clone()
        if entry.database == "sqlite":
            place = f"sqlite:///{self._folder / slug(entry.name)}.db"
        racer = await stack.enter_async_context(racing(entry, python=python))
        self._racers.append(racer)
        self._places[entry.name] = place
        self._measured[entry.name] = {workload.name: Kept() for workload in WORKLOADS}

    async def prepare(self) -> None:
        """Let everybody store what is read later, a few at the same time, for nothing is measured yet."""
        room = asyncio.Semaphore(os.cpu_count() or 1)

        async def one(racer: Racer) -> None:
            async with room:
                await self._try(racer, self._prepare)

        await asyncio.gather(*map(one, self._racers))

    async def run(self) -> None:
        """Measure round by round, every workload by everybody before the next workload."""
        for order in rotations(self._size.rounds, self._racers):
            for workload in WORKLOADS:
                for racer in order:
                    await self._try(racer, self._measure, workload)
        for racer in self._racers:
            await self._try(racer, self._weigh)
            if racer.entry.database == "postgresql" and (self._size.peers_far or racer.entry.peer is None):
                await self._try(racer, self._go_far)
            kept = self._measured[racer.entry.name]
            self.found[racer.entry.name]["measured"] = {name: one.figures() for name, one in kept.items() if one.walls}

    async def _try(self, racer: Racer, step: Any, *arguments: Any) -> None:
        if racer.failure is not None:
            return
        try:
            await step(racer, *arguments)
        except Unable:
            pass
        except Failed as failed:
            print(f"{racer.entry.name}: {failed}", flush=True)
            self.found[racer.entry.name]["missing"] = str(failed)

    async def _prepare(self, racer: Racer) -> None:
        start = time.perf_counter()
        answer = await racer.ask("open", place=self._places[racer.entry.name])
        self.found[racer.entry.name]["versions"] = answer["versions"]
        batch = max(self._size.batch, racer.entry.batch)
        await racer.ask("seed", items=self._size.items, conversations=self._size.conversations, batch=batch)
        await racer.ask("check")
        for workload in WORKLOADS:
            try:
                # So that everything is warm.
                await racer.ask(
                    "measure", workload=workload.do, times=max(3, workload.writers), writers=workload.writers
                )
            except Unable:
                continue
        print(f"{racer.entry.name}: ready after {time.perf_counter() - start:.1f} s", flush=True)

    async def _measure(self, racer: Racer, workload: Workload) -> None:
        times = max(workload.writers * 8, int(workload.times * self._size.share), 5)
        answer = await racer.ask("measure", workload=workload.do, times=times, writers=workload.writers)
        self._measured[racer.entry.name][workload.name].add(answer)

    async def _weigh(self, racer: Racer) -> None:
        before = self._bytes(racer)
        answer = await racer.ask("fill", conversations=self._size.weighed, turns=50)
        self.found[racer.entry.name]["bytes_per_message"] = (self._bytes(racer) - before) / answer["messages"]

    def _bytes(self, racer: Racer) -> int:
        place = self._places[racer.entry.name]
        if racer.entry.database == "sqlite":
            path = Path(place.removeprefix("sqlite:///"))
            with closing(sqlite3.connect(path, timeout=30)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return sum(
                file.stat().st_size for file in path.parent.glob(f"{path.name}*") if not file.name.endswith("shm")
            )
        with psycopg.connect(place, autocommit=True) as connection:
            query = (
                "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c "
                "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' "
                "AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
            )
            row = connection.execute(query).fetchone()
        assert row is not None
        return int(row[0])

    async def _go_far(self, racer: Racer) -> None:
        """Count round trips: what 20 ms of distance add to the time that everything takes without them."""
        trips = self.found[racer.entry.name]["round_trips"] = {}
        await racer.ask("close")
        async with proxied(self._places[racer.entry.name], round_trip=ROUND_TRIP) as (proxy, distant):
            await racer.ask("open", place=distant)
            for workload in WORKLOADS:
                if not workload.distant:
                    continue
                try:
                    far, near = [await self._at(racer, proxy, way, workload) for way in (ROUND_TRIP, NEARBY)]
                except Unable:
                    continue
                trips[workload.name] = {"trips": (far - near) / ROUND_TRIP, "far_ms": far * 1e3, "near_ms": near * 1e3}
            await racer.ask("close")

    async def _at(self, racer: Racer, proxy: Proxy, round_trip: float, workload: Workload) -> float:
        proxy.round_trip = round_trip
        await racer.ask("measure", workload=workload.do, times=2)
        answer = await racer.ask("measure", workload=workload.do, times=self._size.distant)
        walls: list[float] = answer["walls"]
        return statistics.median(walls)


async def main(arguments: Sequence[str] = ()) -> None:
    """Race, and write the results."""
    parser = argparse.ArgumentParser(prog="benchmarks compare", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="take less than three minutes, and believe it less")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="race who has this in its name")
    chosen = parser.parse_args(arguments)
    entries = [one for one in ENTRIES if not chosen.only or any(part in one.name for part in chosen.only)]
    start = time.perf_counter()
    with durable_postgres() as server, TemporaryDirectory(prefix="hansard-bench-") as folder:
        document = conditions(server, packages=("hansard", "sqlalchemy", "psycopg", "asyncpg"))
        race = Race(QUICK if chosen.quick else WHOLE, server, Path(folder))
        async with AsyncExitStack() as stack:
            for entry in entries:
                await race.enter(stack, entry)
            await race.prepare()
            await race.run()
    document["quick"] = chosen.quick
    document["contestants"] = race.found
    document["minutes"] = round((time.perf_counter() - start) / 60, 1)
    told = markdown(document)
    path = keep("compare", document, told, quick=chosen.quick or bool(chosen.only))
    print(told)
    print(f"\n{document['minutes']} minutes; kept in {path}")


if __name__ == "__main__":
    asyncio.run(main())
