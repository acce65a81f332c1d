"""What does the service add to the store, and to the bytes that it sends?

`make bench ARGS='http'` sends from 16 connections with wrk: pages of 100 items beside a bare Starlette endpoint that
has the same bytes ready, and single appends beside the library that appends from 16 coroutines of one process. All
in turns, on PostgreSQL and on SQLite.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import httpx

from benchmarks.filling import natural_texts
from benchmarks.racing import rotations
from benchmarks.results import ROOT, conditions, keep
from benchmarks.server import durable_postgres
from benchmarks.tables import table
from benchmarks.wrk import CONNECTIONS, PROGRAM, load, posting
from hansard.api.auth import issue_token
from hansard.database import migrations, open_database
from hansard.store.sql import SqlStore
from tests.support.served import Served, free_port

USER = "8f14e45f-ceea-467f-9575-3c1f2b1a0d11"
SECRET = "only-for-measuring-but-long-enough-anyway"  # noqa: S105 - of a throw-away server
ITEMS = 100
ROUNDS = 5
SECONDS = 6
LEAST = 0.5
READY_SECONDS = 30
BARE, PAGE, LIBRARY, APPEND = "bare endpoint", "page of 100 items", "library appends", "HTTP appends"


async def main(arguments: Sequence[str]) -> None:
    """Measure, and print what came out; the bars are for whoever reads it."""
    options = _options(arguments)
    if not PROGRAM.exists():
        sys.exit("wrk is not there: run `make bench ARGS='http'`, which fetches it.")
    with TemporaryDirectory(prefix="hansard-http-") as folder, durable_postgres() as server:
        document = conditions(server)
        urls = {"postgresql": server.clone(), "sqlite": f"sqlite:///{folder}/hansard.db"}
        document["databases"] = {name: await _database(Path(folder), name, url, options) for name, url in urls.items()}
    path = keep("http", document, markdown(document), quick=options.rounds < ROUNDS)
    print(markdown(document), f"\n\nWritten to {path}")


def markdown(document: dict[str, Any]) -> str:
    """Return requests a second, times, processor time, and the two ratios."""
    heads = ["", "requests/s", "p50 ms", "p99 ms", "its CPU µs each", "CPU of wrk"]
    parts = []
    for name, found in document["databases"].items():
        rows = [[what, f"{one['per_second']:.0f}", *_cells(one)] for what, one in found["measured"].items()]
        ratios = (
            f"{PAGE} / {BARE}: {found['ratios']['page']:.2f}; {APPEND} / {LIBRARY}: {found['ratios']['append']:.2f} "
            f"(medians of rounds; the aim is {LEAST})."
        )
        parts += [f"### {name}", table(heads, rows), ratios]
    return "\n\n".join(parts)


def _cells(one: dict[str, float]) -> list[str]:
    shown = [f"{one[key]:.2f}" if key in one else "" for key in ("p50_ms", "p99_ms")]
    return [*shown, f"{one['server_us']:.0f}", f"{one['tool']:.0%}" if "tool" in one else ""]


async def _database(folder: Path, name: str, url: str, options: argparse.Namespace) -> dict[str, Any]:
    migrations.upgrade(url)
    places = await fill(url)
    token = issue_token(SECRET.encode(), USER, ttl=timedelta(hours=2))
    served = Served(folder, DATABASE_URL=url, JWT_SECRET_KEY=SECRET)
    served.start()
    try:
        page = f"/v1/conversations/{places[0][1]}/items?limit={ITEMS}"
        answer = await asyncio.to_thread(_fetch, served.url + page, token)
        (folder / "answer").write_bytes(answer)
        script = posting(
            folder / f"{name}.lua",
            [f"/v1/conversations/{public_id}/items" for _, public_id in places],
            {"items": [_item(natural_texts(1)[0])]},
        )
        with _bare(folder) as (bare_url, bare_pid):
            measured: dict[str, list[dict[str, float]]] = {}
            contestants = {
                BARE: lambda: load(bare_url + page, seconds=options.seconds, pid=bare_pid)._asdict(),
                PAGE: lambda: load(served.url + page, seconds=options.seconds, pid=served.pid, token=token)._asdict(),
                APPEND: lambda: load(
                    served.url, seconds=options.seconds, pid=served.pid, token=token, script=script
                )._asdict(),
            }
            for order in rotations(options.rounds, [BARE, PAGE, LIBRARY, APPEND]):
                for what in order:
                    found = (
                        await _library(url, places, options.seconds)
                        if what == LIBRARY
                        else await asyncio.to_thread(contestants[what])
                    )
                    measured.setdefault(what, []).append(found)
    finally:
        served.stop()
    medians = {what: _medians(rounds) for what, rounds in measured.items()}
    return {
        "answer_bytes": len(answer),
        "measured": {what: medians[what] for what in (BARE, PAGE, LIBRARY, APPEND)},
        "ratios": {"page": _ratio(measured, PAGE, BARE), "append": _ratio(measured, APPEND, LIBRARY)},
        "rounds": measured,
    }


def _medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}


def _ratio(measured: dict[str, list[dict[str, float]]], what: str, beside: str) -> float:
    pairs = zip(measured[what], measured[beside], strict=True)
    return statistics.median(one["per_second"] / other["per_second"] for one, other in pairs)


async def fill(url: str) -> list[tuple[UUID, str]]:
    """Make a conversation of a page's length for each connection."""
    database = await open_database(url)
    user = SqlStore(database).for_user(USER)
    texts = natural_texts(ITEMS)
    places = []
    for _ in range(CONNECTIONS):
        made = await user.conversations.create()
        for start in range(0, ITEMS, 20):
            said = enumerate(texts[start : start + 20])
            await user.items.append(made.id, [_item(text, "user" if at % 2 else "assistant") for at, text in said])
        places.append((made.id, made.public_id))
    await database.close()
    return places


def _item(text: str, role: str = "user") -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    if role == "user":
        part = {"type": "input_text", "text": text}
    return {"type": "message", "role": role, "status": "completed", "content": [part]}


async def _library(url: str, places: list[tuple[UUID, str]], seconds: int) -> dict[str, float]:
    database = await open_database(url)
    user = SqlStore(database).for_user(USER)
    item = _item(natural_texts(1)[0])
    until = time.perf_counter() + seconds
    count = 0

    async def write(place: UUID) -> None:
        nonlocal count
        while time.perf_counter() < until:
            await user.items.append(place, [item])
            count += 1

    processor = time.process_time()
    await asyncio.gather(*(write(place) for place, _ in places))
    spent = time.process_time() - processor
    await database.close()
    return {"per_second": count / seconds, "server_us": spent / count * 1e6}


def _fetch(url: str, token: str) -> bytes:
    return httpx.get(url, headers={"authorization": f"Bearer {token}"}).raise_for_status().content


@contextmanager
def _bare(folder: Path) -> Iterator[tuple[str, int]]:
    port = free_port()
    environment = {**os.environ, "BARE_ANSWER": str(folder / "answer")}
    command = [sys.executable, "-m", "uvicorn", "benchmarks.bare:app", "--port", str(port), "--no-access-log"]
    process = subprocess.Popen([*command, "--log-level", "warning"], cwd=ROOT, env=environment)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + READY_SECONDS
        while not _answers(url):
            assert process.poll() is None, "the bare server does not start"
            assert time.monotonic() < deadline, "the bare server does not answer"
            time.sleep(0.1)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(timeout=READY_SECONDS)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/v1/conversations/any/items", timeout=1).is_success
    except httpx.TransportError:
        return False


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="http", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often each has its turn")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="how long a turn is")
    return parser.parse_args(arguments)
