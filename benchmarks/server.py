"""Start the PostgreSQL that is measured on: one that forgets nothing."""

import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.support.pg_server import PostgresServer, running_postgres

SETTINGS = {"max_connections": "500", "shared_buffers": "512MB", "max_wal_size": "4GB"}
DURABLE = ("fsync", "synchronous_commit", "full_page_writes")


@contextmanager
def durable_postgres(settings: Mapping[str, str] | None = None) -> Iterator[PostgresServer]:
    """Start a server of PG_BIN or of the development group's wheel; refuse one that answers before it has stored."""
    with running_postgres(durable=True, settings={**SETTINGS, **(settings or {})}) as server:
        weak = {name: value for name, value in shown(server).items() if name in DURABLE and value != "on"}
        assert not weak, f"this server is not durable: {weak}"
        yield server


def shown(server: PostgresServer) -> dict[str, str]:
    """Return the release and the settings that matter, as the server itself tells them."""
    with psycopg.connect(server.url(), autocommit=True) as connection:
        query = "SELECT name, setting FROM pg_settings WHERE name = ANY(%s) ORDER BY name"
        names = ["server_version", "wal_sync_method", "shared_buffers", "max_connections", *DURABLE]
        return dict(connection.execute(query, [names]).fetchall())


def flush_ms(folder: Path | None = None, *, times: int = 50) -> float:
    """Return the median milliseconds that a disk takes to keep 8 kB: no commit can be faster."""
    walls = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(times):
            start = time.perf_counter()
            os.pwrite(file.fileno(), bytes(8192), 0)
            os.fdatasync(file.fileno())
            walls.append(time.perf_counter() - start)
    return statistics.median(walls) * 1e3
