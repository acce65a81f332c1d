"""Compare the ways to one round trip side by side in one run, interleaved.

What follows from it stands in docs/decisions/0006-one-round-trip.md.
"""

import asyncio
import logging
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import NamedTuple
from uuid import UUID

import psycopg

from benchmarks.tables import conditions, table
from benchmarks.ways import FUNCTIONS, USER, Flight, Function, PsycopgPipeline, Way, WholeStore
from hansard.database import migrations, open_database
from hansard.store.sql import SqlStore
from tests.support.pg_server import running_postgres
from tests.support.pgbouncer import FOLDER, running_pgbouncer
from tests.support.proxy import proxied

ROUNDS = 9
IN_A_ROW = 60
WRITERS = 16
EACH = 40
TEXT = "All the world's a stage, and all the men and women merely players. " * 6
Open = Callable[[str], Awaitable[Way]]

WAYS: dict[str, Open] = {
    "flight": lambda url: Flight.open(url, prepare=False),
    "flight, prepared": lambda url: Flight.open(url, prepare=True),
    "whole store on the flight": lambda url: WholeStore.open(url, prepare=False),
    "whole store on the flight, prepared": lambda url: WholeStore.open(url, prepare=True),
    "psycopg pipeline": lambda url: PsycopgPipeline.open(url, prepare=False),
    "psycopg pipeline, prepared": lambda url: PsycopgPipeline.open(url, prepare=True),
    "function, asyncpg": lambda url: Function.open(url, prepare=False),
    "function, asyncpg, prepared": lambda url: Function.open(url, prepare=True),
}


class Measured(NamedTuple):
    """Hold one round of one way."""

    append_ms: float
    append_cpu_us: float
    last_ms: float
    last_cpu_us: float
    appends_per_second: float


async def main() -> None:
    """Print the table."""
    with ExitStack() as stack:
        server = stack.enter_context(running_postgres(durable=True))
        url = server.clone()
        migrations.upgrade(url)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(FUNCTIONS)
        places = await _places(url)
        measured = await _race(url, places)
        flushes = {name: await _flushes(url, open_way, places[0]) for name, open_way in WAYS.items()}
        pooled = dict.fromkeys(WAYS, "not measured")
        if FOLDER.exists():
            pooler = stack.enter_context(running_pgbouncer(server, pool_size=4))
            pooled = {name: await _through(pooler.url(url), way, places) for name, way in WAYS.items()}
        rows = [(name, *_cells(rounds), flushes[name], pooled[name]) for name, rounds in measured.items()]
        heads = ["way", "append ms", "its client CPU µs", "last 50 ms", "its client CPU µs", "appends/s at 16"]
        print(table([*heads, "flushes", "through PgBouncer"], rows))
        print(f"\nMedians (and best) of {ROUNDS} interleaved rounds; messages of {len(TEXT)} characters; fsync on.")
        print(conditions(str(server.binaries.major), "asyncpg", "psycopg-pool"))


async def _places(url: str) -> list[UUID]:
    """Make a conversation of 60 items for each writer."""
    database = await open_database(url)
    user = SqlStore(database).for_user(USER)
    item = {"role": "user", "content": TEXT}
    made = [(await user.conversations.create(items=[item] * 60)).id for _ in range(WRITERS)]
    await database.close()
    return made


async def _race(url: str, places: list[UUID]) -> dict[str, list[Measured]]:
    ways = {name: await open_way(url) for name, open_way in WAYS.items()}
    measured: dict[str, list[Measured]] = {name: [] for name in ways}
    for way in ways.values():
        await _round(way, places)  # everything warm
    for number in range(ROUNDS):
        order = list(ways)
        for name in order[number % len(order) :] + order[: number % len(order)]:
            measured[name].append(await _round(ways[name], places))
    for way in ways.values():
        await way.close()
    return measured


async def _round(way: Way, places: list[UUID]) -> Measured:
    append_ms, append_cpu = await _timed(lambda: way.append(places[0], TEXT))
    last_ms, last_cpu = await _timed(lambda: way.last(places[0], 50))
    start = time.perf_counter()
    await asyncio.gather(*(_write(way, place) for place in places))
    return Measured(append_ms, append_cpu, last_ms, last_cpu, WRITERS * EACH / (time.perf_counter() - start))


async def _timed(call: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Return the median milliseconds of a call and its microseconds of our processor time."""
    walls = []
    processor = time.process_time()
    for _ in range(IN_A_ROW):
        start = time.perf_counter()
        await call()
        walls.append(time.perf_counter() - start)
    return statistics.median(walls) * 1e3, (time.process_time() - processor) / IN_A_ROW * 1e6


async def _write(way: Way, place: UUID) -> None:
    positions = [await way.append(place, TEXT) for _ in range(EACH)]
    assert positions == list(range(positions[0], positions[0] + EACH))


def _cells(rounds: list[Measured]) -> list[str]:
    """Return the median of the rounds and, in brackets, the best: the least disturbed by whatever else was running."""
    *costs, rates = zip(*rounds, strict=True)
    digits = (2, 0, 2, 0)
    cells = [
        f"{statistics.median(cost):.{places}f} ({min(cost):.{places}f})"
        for cost, places in zip(costs, digits, strict=True)
    ]
    return [*cells, f"{statistics.median(rates):.0f} ({max(rates):.0f})"]


async def _flushes(url: str, open_way: Open, place: UUID) -> str:
    async with proxied(url) as (proxy, distant):
        way = await open_way(distant)
        for _ in range(3):
            await way.append(place, TEXT)
            await way.last(place, 50)
        proxy.forget()
        await way.append(place, TEXT)
        append = proxy.flushes
        proxy.forget()
        await way.last(place, 50)
        last = proxy.flushes
        await way.close()
        return f"{append} and {last}"


async def _through(url: str, open_way: Open, places: list[UUID]) -> str:
    """Return how many appends and reads of many clients went wrong behind a pooler."""
    logging.getLogger("psycopg").setLevel(logging.CRITICAL)
    wrong = 0
    total = 0

    async def work(place: UUID) -> None:
        nonlocal wrong, total
        for _ in range(10):
            for call in (way.append(place, TEXT), way.last(place, 50)):
                total += 1
                try:
                    wrong += await call < 1
                except Exception:  # noqa: BLE001 - whatever it is, it is counted
                    wrong += 1

    way = await open_way(url)
    await asyncio.gather(*map(work, places))
    await way.close()
    return f"{wrong} of {total} failed" if wrong else "right"
