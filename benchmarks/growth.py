"""Does everything stay as fast when there is a thousand times as much? Three databases side by side, one process.

`make bench ARGS='growth'` fills databases of 10 thousand, 1 million and 10 million messages (10 GB of disk, some ten
minutes) and measures every operation in each, turn by turn; `--sizes 10000,100000` takes other sizes. All of them are
in the server's memory, so that none is measured against the disk: it has 40 % of the machine's, the most that the
documentation of PostgreSQL advises, and everything is read into it beforehand.
"""

import argparse
import itertools
import os
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from benchmarks.filling import Place, Shape, check, fill
from benchmarks.results import conditions, keep
from benchmarks.server import durable_postgres
from benchmarks.tables import table
from hansard.database import Database, migrations, open_database
from hansard.models import ConversationPlace
from hansard.store.contract import UserStore
from hansard.store.sql import SqlStore
from tests.support.pg_server import PostgresServer

SIZES = (10_000, 1_000_000, 10_000_000)
ROUNDS = 40
IN_A_ROW = 10
# Conversations of about the same size, whatever their number.
USUAL = range(10, 201)
MOST = 1.3
MEMORY = 0.4
SAYS = {"role": "user", "content": "All the world's a stage, and all the men and women merely players. " * 6}
# What must not be in a plan: reading a whole table, and sorting what an index should bring in order.
REFUSED = ("Seq Scan on", "Sort  (")
EXPLAINED = {
    "session_preload_libraries": "auto_explain",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_timing": "off",
    # Appends are in functions.
    "auto_explain.log_nested_statements": "on",
}
Operation = Callable[["Sample"], Awaitable[object]]


class Sample(NamedTuple):
    """Hold what an operation works on."""

    user: UserStore
    place: Place
    older: ConversationPlace | None


@dataclass
class Scale:
    """Hold one database, and what was measured in it."""

    messages: int
    url: str
    database: Database
    usual: list[Place]
    busiest: list[Place]
    longest: list[Place]
    loaded_per_second: float
    chosen: random.Random = field(default_factory=lambda: random.Random(11))
    walls: dict[str, list[float]] = field(default_factory=dict)
    plans: dict[str, list[str]] = field(default_factory=dict)


def operations() -> dict[str, tuple[str, Operation]]:
    """Return every operation, and the kind of conversation it is done to."""
    return {
        "append 1": ("usual", lambda one: one.user.items.append(one.place.conversation_id, [SAYS])),
        "append 20": ("usual", lambda one: one.user.items.append(one.place.conversation_id, [SAYS] * 20)),
        "append 1 to the longest": ("longest", lambda one: one.user.items.append(one.place.conversation_id, [SAYS])),
        "last 10": ("usual", lambda one: one.user.items.last(one.place.conversation_id, 10)),
        "last 50 of the longest": ("longest", lambda one: one.user.items.last(one.place.conversation_id, 50)),
        "page of 10 from the beginning": (
            "usual",
            lambda one: one.user.items.list(one.place.conversation_id, limit=10),
        ),
        "page of 50 from the middle of the longest": (
            "longest",
            lambda one: one.user.items.list(one.place.conversation_id, limit=50, after=one.place.messages // 2),
        ),
        "get an item": ("usual", lambda one: one.user.items.get(one.place.conversation_id, 5)),
        "get a conversation": ("usual", lambda one: one.user.conversations.get(one.place.conversation_id)),
        "list 50 conversations of the busiest": ("busiest", lambda one: one.user.conversations.list(limit=50)),
        "list 50 more of the busiest": (
            "busiest",
            lambda one: one.user.conversations.list(limit=50, after=one.older),
        ),
        "create a conversation": ("usual", lambda one: one.user.conversations.create()),
        "rename a conversation": (
            "usual",
            lambda one: one.user.conversations.update(one.place.conversation_id, title="Milk"),
        ),
        "archive and bring back": ("usual", _archive),
        "create and delete a conversation": ("usual", _come_and_go),
    }


async def _archive(one: Sample) -> None:
    await one.user.conversations.update(one.place.conversation_id, archived=True)
    await one.user.conversations.update(one.place.conversation_id, archived=False)


async def _come_and_go(one: Sample) -> None:
    made = await one.user.conversations.create(items=[SAYS])
    await one.user.conversations.delete(made.id)


async def main(arguments: Sequence[str]) -> None:
    """Fill, measure, look at the plans; fail when a plan is not what it must be."""
    options = _options(arguments)
    sizes = [int(size) for size in options.sizes.split(",")]
    with durable_postgres({"shared_buffers": _memory()}) as server:
        document = conditions(server)
        scales = [await _fill(server, size) for size in sizes]
        for scale in reversed(scales):
            _warm(scale.url)
        await _measure(scales, options.rounds)
        for scale in scales:
            await _explain(server, scale)
            await scale.database.close()
        document |= _found(scales)
    path = keep("growth", document, markdown(document), quick=tuple(sizes) != SIZES)
    print(markdown(document), f"\n\nWritten to {path}")
    bad = [f"{name} at {size}: {line}" for size, name, line in refused(document)]
    assert not bad, "\n".join(bad)


def markdown(document: dict[str, Any]) -> str:
    """Return p50 and p95 of every operation at every size, the worst ratio, and one plan of each."""
    sizes = [str(size) for size in document["sizes"]]
    heads = ["ms, p50 (p95)", *(f"{int(size):,}" for size in sizes), "p50, most / least", "p95, most / least"]
    rows = []
    for name, found in document["operations"].items():
        cells = [f"{found[size]['p50_ms']:.2f} ({found[size]['p95_ms']:.2f})" for size in sizes]
        rows.append([name, *cells, *(f"{found['spread'][which]:.2f}" for which in ("p50_ms", "p95_ms"))])
    loads = [[f"{int(size):,}", f"{document['loaded'][size]:,.0f}"] for size in sizes]
    largest = document["plans"][sizes[-1]]
    plans = "\n\n".join(f"{name}:\n\n```\n{chr(10).join(plan)}\n```" for name, plan in largest.items())
    return "\n\n".join(
        [table(heads, rows), table(["filled to", "messages/s"], loads), f"Plans at {int(sizes[-1]):,}:", plans]
    )


def refused(document: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return the lines of plans that must not be."""
    return [
        (size, name, line.strip())
        for size, plans in document["plans"].items()
        for name, plan in plans.items()
        for line in plan
        if any(word in line for word in REFUSED)
    ]


async def _fill(server: PostgresServer, messages: int) -> Scale:
    url = server.clone()
    migrations.upgrade(url)
    # In the smallest, too, somebody has many conversations, and one conversation is long.
    shape = Shape(
        messages=messages,
        users=max(5, messages // 2000),
        busiest=min(2000, messages // 5),
        longest=min(100_000, messages // 10),
    )
    places, rate = fill(url, shape)
    check(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
    return Scale(
        messages=messages,
        url=url,
        database=await open_database(url),
        usual=[place for place in places[shape.busiest + 1 :] if place.messages in USUAL],
        busiest=places[1 : shape.busiest + 1],
        longest=places[:1],
        loaded_per_second=rate,
    )


def _memory() -> str:
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return f"{int(pages * size * MEMORY) >> 20}MB"


def _warm(url: str) -> None:
    """Read tables and indexes into the server's memory."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION pg_prewarm")
        connection.execute(
            "SELECT pg_prewarm(oid) FROM pg_class WHERE relname ~ 'conversations|messages' AND relkind IN ('r', 'i')"
        )


async def _measure(scales: Sequence[Scale], rounds: int) -> None:
    for number, (name, (kind, operation)) in itertools.product(range(-1, rounds), operations().items()):
        turn = number % len(scales)
        for scale in [*scales[turn:], *scales[:turn]]:
            for _ in range(IN_A_ROW):
                sample = await _sample(scale, kind)
                began = time.perf_counter()
                await operation(sample)
                if number >= 0:  # the first round warms up
                    scale.walls.setdefault(name, []).append((time.perf_counter() - began) * 1e3)


async def _sample(scale: Scale, kind: str) -> Sample:
    place = scale.chosen.choice(getattr(scale, kind))
    user = SqlStore(scale.database).for_user(place.user_id)
    if kind != "busiest":
        return Sample(user, place, None)
    read = await user.conversations.get(place.conversation_id)
    return Sample(user, place, ConversationPlace(read.last_message_at, read.id))


async def _explain(server: PostgresServer, scale: Scale) -> None:
    """Let the server itself write down the plan of everything that an operation sends."""
    name = scale.url.rpartition("/")[2]
    with psycopg.connect(server.url(), autocommit=True) as connection:
        for setting, value in EXPLAINED.items():
            connection.execute(f"ALTER DATABASE \"{name}\" SET {setting} = '{value}'".encode())
    log = Path(server.workspace / "log")
    database = await open_database(scale.url)
    try:
        for operation_name, (kind, operation) in operations().items():
            sample = await _sample(scale, kind)
            sample = sample._replace(user=SqlStore(database).for_user(sample.place.user_id))
            await database.ping()
            before = len(_read(log))
            await operation(sample)
            await database.ping()
            scale.plans[operation_name] = _plans(_read(log)[before:].decode("utf-8", "replace"))
    finally:
        await database.close()


def _read(log: Path) -> bytes:
    return log.read_bytes()


def _plans(log: str) -> list[str]:
    """Return the lines of the plans that touch our tables, without those of the server's own foreign-key checks."""
    lines = []
    for entry in log.split("duration:")[1:]:
        if "FOR KEY SHARE OF x" in entry:
            continue
        plan = [line for line in entry.splitlines() if "rows=" in line or "Index Cond" in line or "Trigger" in line]
        lines += [line.strip("\t") for line in plan if "Result" not in line or len(plan) > 1]
    return lines


def _found(scales: Sequence[Scale]) -> dict[str, Any]:
    measured: dict[str, Any] = {}
    for name in operations():
        sizes = {str(scale.messages): _figures(scale.walls[name]) for scale in scales}
        spread = {
            which: max(one[which] for one in sizes.values()) / min(one[which] for one in sizes.values())
            for which in ("p50_ms", "p95_ms")
        }
        measured[name] = {**sizes, "spread": spread}
    return {
        "sizes": [scale.messages for scale in scales],
        "loaded": {str(scale.messages): scale.loaded_per_second for scale in scales},
        "operations": measured,
        "plans": {str(scale.messages): scale.plans for scale in scales},
        "most": MOST,
    }


def _figures(walls: list[float]) -> dict[str, float]:
    ordered = sorted(walls)
    return {"p50_ms": statistics.median(ordered), "p95_ms": ordered[int(len(ordered) * 0.95)]}


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="growth", description=__doc__)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="how many messages, comma-separated")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often each operation gets its turn")
    return parser.parse_args(arguments)
