"""Does anything grow that should not? Full load for ten minutes, and what the server holds all the while.

`make bench ARGS='soak'`: wrk reads pages and appends as fast as it can, and beside it people come and go: they let
turns answer and leave in the middle, follow conversations, send what is refused. Every few seconds memory, open
files, threads, tasks, objects and database connections are counted; the last quarter is compared with the second.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import httpx

from benchmarks.filling import natural_texts
from benchmarks.http import SECRET, USER, fill
from benchmarks.results import ROOT, conditions, keep
from benchmarks.server import durable_postgres
from benchmarks.startup import resident_megabytes
from benchmarks.tables import table
from benchmarks.wrk import command, posting
from hansard.api.auth import issue_token
from hansard.database import migrations
from tests.support.pg_server import PostgresServer
from tests.support.served import free_port

SECONDS = 600
EVERY_SECONDS = 5
PEOPLE = 4
HALF = 8
READY_SECONDS = 60
# By how much each may differ between the two quarters; beside it, how much is noise whatever the share.
MAY_GROW: Final = {
    "megabytes": (1.10, 4),
    "files": (1.0, 8),
    "threads": (1.0, 4),
    "tasks": (1.0, 24),
    "objects": (1.05, 4000),
    "connections": (1.0, 4),
}
Doing = Callable[[httpx.AsyncClient, random.Random, list[str]], Awaitable[None]]


async def main(arguments: Sequence[str]) -> None:
    """Load, count, compare; fail when something grew."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--seconds", type=int, default=SECONDS)
    options = parser.parse_args(arguments)
    with TemporaryDirectory(prefix="hansard-soak-") as folder, durable_postgres() as server:
        document = conditions(server)
        document |= await _soak(Path(folder), server, options.seconds)
    path = keep("soak", document, markdown(document), quick=options.seconds < SECONDS)
    print(markdown(document), f"\n\nWritten to {path}")
    grown = [name for name, (early, late) in document["compared"].items() if not _flat(name, early, late)]
    assert not grown, f"these grew: {', '.join(grown)}"


def markdown(document: dict[str, Any]) -> str:
    """Return what was held early and late."""
    rows = [
        [name, f"{early:.0f}", f"{late:.0f}", "flat" if _flat(name, early, late) else "GREW"]
        for name, (early, late) in document["compared"].items()
    ]
    done = ", ".join(f"{count:,} {what}" for what, count in document["done"].items())
    return "\n\n".join(
        [
            f"{document['seconds']} seconds, {len(document['samples'])} samples: {done}.",
            table(["held", "second quarter", "last quarter", ""], rows),
        ]
    )


def _flat(name: str, early: float, late: float) -> bool:
    share, noise = MAY_GROW[name]
    return late <= early * share + noise


async def _soak(folder: Path, server: PostgresServer, seconds: int) -> dict[str, Any]:
    url = server.clone()
    migrations.upgrade(url)
    places = [public_id for _, public_id in await fill(url)]
    token = issue_token(SECRET.encode(), USER, ttl=timedelta(hours=2))
    base = f"http://127.0.0.1:{free_port()}"
    process = _serve(folder, url, base)
    done = {"pages": 0, "appends": 0, "visits": 0}
    samples: list[dict[str, float]] = []
    try:
        await _until_ready(base, process)
        wrks = [_wrk(folder, base, places, token, seconds, what) for what in ("pages", "appends")]
        until = time.monotonic() + seconds
        people = [asyncio.create_task(_visit(base, token, places, until, number, done)) for number in range(PEOPLE)]
        while time.monotonic() < until:
            await asyncio.sleep(EVERY_SECONDS)
            samples.append(await asyncio.to_thread(_sample, process.pid, folder / "told", server, url))
            assert process.poll() is None, "the server has ended"
        await asyncio.gather(*people)
        for what, wrk in zip(("pages", "appends"), wrks, strict=True):
            said, _ = await asyncio.to_thread(wrk.communicate, timeout=READY_SECONDS)
            assert "Non-2xx" not in said, said
            done[what] = int(said.partition(" requests in")[0].split()[-1])
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, READY_SECONDS)
    quarter = len(samples) // 4
    compared = {
        name: (
            statistics.median(one[name] for one in samples[quarter : 2 * quarter]),
            statistics.median(one[name] for one in samples[-quarter:]),
        )
        for name in MAY_GROW
    }
    return {"seconds": seconds, "done": done, "compared": compared, "samples": samples}


def _serve(folder: Path, url: str, base: str) -> "subprocess.Popen[bytes]":
    environment = {
        **os.environ,
        "DATABASE_URL": url,
        "JWT_SECRET_KEY": SECRET,
        "HANSARD_OFFLINE_PACE_SECONDS": "0.005",
        "SOAK_TOLD": str(folder / "told"),
    }
    arguments = ["--factory", "benchmarks.soaked:create_app", "--port", base.rpartition(":")[2], "--no-access-log"]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "uvicorn", *arguments], cwd=ROOT, env=environment, stdout=log, stderr=log
        )


async def _until_ready(base: str, process: "subprocess.Popen[bytes]") -> None:
    async with httpx.AsyncClient(base_url=base) as client:
        for _ in range(READY_SECONDS * 10):
            with contextlib.suppress(httpx.TransportError):
                if (await client.get("/readyz")).is_success:
                    return
            assert process.poll() is None, "the server does not start"
            await asyncio.sleep(0.1)
    raise TimeoutError("the server is not ready in time")


def _wrk(folder: Path, base: str, places: list[str], token: str, seconds: int, what: str) -> "subprocess.Popen[str]":
    paths = [f"/v1/conversations/{place}/items" for place in places]
    body = {"items": [{"role": "user", "content": natural_texts(1)[0]}]}
    script = posting(folder / "post.lua", paths, body) if what == "appends" else None
    target = f"{base}{paths[0]}?limit=100" if script is None else base
    asked, environment = command(target, connections=HALF, seconds=seconds, token=token, script=script)
    return subprocess.Popen(asked, env=environment, stdout=subprocess.PIPE, text=True)


async def _visit(base: str, token: str, places: list[str], until: float, number: int, done: dict[str, int]) -> None:
    chosen = random.Random(number)
    while time.monotonic() < until:
        # A connection of its own each time, as from somebody who comes and goes.
        async with httpx.AsyncClient(base_url=base, headers={"authorization": f"Bearer {token}"}, timeout=60) as client:
            for doing in DOINGS:
                await doing(client, chosen, places)
        done["visits"] += 1


async def _answered(client: httpx.AsyncClient, chosen: random.Random, _places: list[str]) -> None:
    made = (await client.post("/v1/conversations", json={})).raise_for_status().json()["id"]
    body = {"input": "add milk", "conversation": made, "stream": True}
    lines = chosen.randrange(1, 30)
    async with client.stream("POST", "/v1/responses", json=body) as answer:
        async for _ in answer.aiter_lines():
            lines -= 1
            if not lines:
                break  # the client leaves, the turn goes on
    await client.delete(f"/v1/conversations/{made}")


async def _followed(client: httpx.AsyncClient, chosen: random.Random, places: list[str]) -> None:
    with contextlib.suppress(asyncio.TimeoutError):
        async with client.stream("GET", f"/v1/conversations/{chosen.choice(places)}/events") as answer:
            await asyncio.wait_for(anext(answer.aiter_lines(), None), timeout=0.5)


async def _refused(client: httpx.AsyncClient, chosen: random.Random, places: list[str]) -> None:
    statuses = {
        (await client.get(f"/v1/conversations/conv_{chosen.getrandbits(192):048x}")).status_code,
        (await client.post(f"/v1/conversations/{places[0]}/items", json={"items": 1})).status_code,
        (await client.get("/v1/conversations", headers={"authorization": f"Bearer {chosen.random()}"})).status_code,
        (await client.get("/v1/search", params={"query": f"word{chosen.random()}"})).status_code,
    }
    assert statuses == {404, 400, 401, 200}, statuses


DOINGS: tuple[Doing, ...] = (_answered, _followed, _refused)


def _sample(pid: int, told: Path, server: PostgresServer, url: str) -> dict[str, float]:
    status = Path(f"/proc/{pid}/status").read_text()
    [threads] = [line.split()[1] for line in status.splitlines() if line.startswith("Threads:")]
    return {
        "megabytes": resident_megabytes(pid),
        "files": len(list(Path(f"/proc/{pid}/fd").iterdir())),
        "threads": int(threads),
        "connections": server.connections(url),
        **json.loads(told.read_text()),
    }
