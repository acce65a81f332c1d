"""Kill the server, and the database under it, at random moments; then compare what is there with what was promised.

    python -m tests.faults.torture --rounds 300 --database sqlite --database postgresql

Each round begins with clients who talk, in conversations of their own, to a server that is killed with -9, paused past
its leases, or loses its database, after a random time. Then an auditor asks a new server about everything that the
clients wrote down. The figures at the end say what was acknowledged, lost and doubled.
"""

import argparse
import asyncio
import contextlib
import os
import random
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeAlias

import httpx
import psycopg

from hansard.api.auth import issue_token
from hansard.database import migrations
from tests.faults.clients import Audit, Client, Figures, Log
from tests.support.nursery import Child, Nursery, nursery
from tests.support.pg_binaries import PostgresUnavailableError
from tests.support.pg_server import PostgresServer, running_postgres

SECRET: Final = "a-secret-of-more-than-thirty-two-bytes-for-tests"
LEASE_SECONDS: Final = 1.0
_CLIENTS: Final = 6
_LONGEST_TALK: Final = 1.2


@dataclass
class Ground:
    """Hold what the rounds stand on."""

    url: str
    nursery: Nursery
    log: Log
    figures: Figures
    dice: random.Random
    database: PostgresServer | None = None

    @contextlib.asynccontextmanager
    async def people(self, server: Child) -> AsyncIterator[list[Client]]:
        """Give people with a conversation each; every two of them are one user."""
        async with contextlib.AsyncExitStack() as stack:
            clients = []
            for number in range(_CLIENTS):
                token = issue_token(SECRET.encode(), f"user-{number // 2}", ttl=timedelta(hours=6))
                headers = {"authorization": f"Bearer {token}"}
                talk = httpx.AsyncClient(base_url=server.url, headers=headers, timeout=90, verify=False)
                http = await stack.enter_async_context(talk)
                home = (await http.post("/v1/conversations")).json()["id"]
                clients.append(Client(http, self.log, home, random.Random(self.dice.random())))
            yield clients

    async def audit(self, clients: list[Client], server: Child) -> None:
        """Hold a server to what the clients were told."""
        for client in clients:
            client.http.base_url = httpx.URL(server.url)
        await asyncio.gather(*(Audit(client, self.figures).run() for client in clients))


Blow: TypeAlias = Callable[[Ground, Child, list[Client], list["asyncio.Task[None]"]], Awaitable[None]]


async def run_round(ground: Ground) -> None:
    """Let people talk, strike at a random moment, and hold what is left to what was promised."""
    server = ground.nursery.start()
    try:
        async with ground.people(server) as clients:
            talking = [asyncio.create_task(client.talk()) for client in clients]
            await asyncio.sleep(ground.dice.uniform(0.02, _LONGEST_TALK))
            await ground.dice.choice(_blows(ground))(ground, server, clients, talking)
    finally:
        server.kill()
    ground.figures.rounds += 1


def _blows(ground: Ground) -> list[Blow]:
    alone: list[Blow] = [kill_server, kill_server, pause_server]
    return alone if ground.database is None else [*alone, kill_database, kill_database]


async def kill_server(ground: Ground, server: Child, clients: list[Client], talking: list[asyncio.Task[None]]) -> None:
    """Kill the server, and ask a new one."""
    server.kill()
    ground.figures.server_kills += 1
    await asyncio.gather(*talking)
    successor = ground.nursery.start()
    try:
        await ground.audit(clients, successor)
    finally:
        successor.kill()


async def pause_server(ground: Ground, server: Child, clients: list[Client], talking: list[asyncio.Task[None]]) -> None:
    """Pause the server past its leases, let another settle its turns, and see that it adds nothing when it wakes."""
    await _pause_between_writes(ground, server)
    ground.figures.pauses += 1
    await _hush(talking)
    await asyncio.sleep(LEASE_SECONDS * 1.1)
    other = ground.nursery.start()
    try:
        await ground.audit(clients, other)
        pictures = [await Audit(client, ground.figures).picture() for client in clients]
        server.wake()
        await asyncio.sleep(LEASE_SECONDS)
        for client, picture in zip(clients, pictures, strict=True):
            await Audit(client, ground.figures).compare(picture)
    finally:
        other.kill()


async def _pause_between_writes(ground: Ground, server: Child) -> None:
    """Pause the server; on SQLite when it does not hold the lock of writers, for which everybody would wait."""
    while True:
        server.pause()
        if ground.database is not None or await asyncio.to_thread(_is_free, ground.url):
            return
        server.wake()
        await asyncio.sleep(ground.dice.uniform(0, 0.02))


def _is_free(url: str) -> bool:
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), timeout=0.2)
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return False
    else:
        return True
    finally:
        connection.close()


async def kill_database(
    ground: Ground, server: Child, clients: list[Client], talking: list[asyncio.Task[None]]
) -> None:
    """Kill PostgreSQL, all of it or one process that serves a client, while people go on talking."""
    assert ground.database is not None
    ground.figures.database_kills += 1
    await asyncio.to_thread(ground.dice.choice([_kill_postmaster, _kill_backend]), ground.database)
    await asyncio.sleep(ground.dice.uniform(0.0, _LONGEST_TALK))
    await _hush(talking)
    await ground.audit(clients, server)


def _kill_postmaster(database: PostgresServer) -> None:
    os.kill(int((database.workspace / "data" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    deadline = time.monotonic() + 60
    while True:
        try:
            database.start()
        except PostgresUnavailableError:  # noqa: PERF203 - trying again is the point
            # Its children notice one after the other that it is gone, and hold the memory until then.
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            return


def _kill_backend(database: PostgresServer) -> None:
    with psycopg.connect(database.url(), autocommit=True) as connection:
        row = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() "
            "ORDER BY random() LIMIT 1"
        ).fetchone()
    if row is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(row[0], signal.SIGKILL)


async def _hush(talking: list[asyncio.Task[None]]) -> None:
    left = set(talking)
    while left:
        for task in left:
            task.cancel()
        # Before Python 3.11 a cancellation that meets another end of the same wait can be lost.
        _, left = await asyncio.wait(left, timeout=5)


@contextlib.contextmanager
def ground_for(kind: str, folder: Path, *, seed: int) -> Iterator[Ground]:
    """Give the ground for rounds on SQLite or on a PostgreSQL that keeps its promises to the disk."""
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(running_postgres(durable=True)) if kind == "postgresql" else None
        url = database.clone() if database else f"sqlite:///{folder / 'hansard.db'}"
        migrations.upgrade(url)
        settings = {
            "DATABASE_URL": url,
            "JWT_SECRET_KEY": SECRET,
            "HANSARD_LEASE_SECONDS": str(LEASE_SECONDS),
            "HANSARD_OFFLINE_PACE_SECONDS": "0.004",
        }
        servers = stack.enter_context(nursery(folder, settings))
        log = stack.enter_context(contextlib.closing(Log(folder / "acknowledged.jsonl")))
        yield Ground(url, servers, log, Figures(), random.Random(seed), database)


def main() -> None:
    """Run the rounds and print the figures; exit with 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description="Kill servers and databases, and look for what was lost or doubled.")
    parser.add_argument("--rounds", type=int, default=200, help="how many rounds on each database")
    parser.add_argument("--database", action="append", choices=["sqlite", "postgresql"], help="one or more; both")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="where chance begins")
    arguments = parser.parse_args()
    broken = False
    for kind in arguments.database or ["sqlite", "postgresql"]:
        with tempfile.TemporaryDirectory() as folder, ground_for(kind, Path(folder), seed=arguments.seed) as ground:
            started = time.monotonic()
            for _ in range(arguments.rounds):
                asyncio.run(run_round(ground))
            seconds = round(time.monotonic() - started)
            sys.stdout.write(f"{kind} (seed {arguments.seed}, {seconds} s): {ground.figures.line}\n")
            broken |= bool(ground.figures.faults)
            for fault in ground.figures.faults[:20]:
                sys.stdout.write(f"  {fault}\n")
    sys.exit(broken)


if __name__ == "__main__":
    main()
