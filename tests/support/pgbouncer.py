"""Run PgBouncer in front of a test server. `make test-pooler` fetches its program; nothing is installed."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from tests.support.pg_server import HOST, PostgresServer
from tests.support.ports import Port

FOLDER = Path(__file__).resolve().parents[2] / ".cache" / "pgbouncer"
ADVICE = "Run `make test-pooler`, which fetches it."
CONFIGURATION = """
[databases]
* = host={host} port={server_port}

[pgbouncer]
listen_addr = {host}
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = transaction
default_pool_size = {pool_size}
max_client_conn = 200
logfile = {log}
"""


class Pooler:
    """Know how to reach a server's databases through PgBouncer."""

    def __init__(self, port: int) -> None:
        self._port = port

    def url(self, direct: str) -> str:
        """Return the URL that leads through the pooler to the database of a direct URL."""
        parts = urlsplit(direct)
        return urlunsplit(parts._replace(netloc=f"{parts.username}:{parts.password}@{HOST}:{self._port}"))


@contextlib.contextmanager
def running_pgbouncer(
    server: PostgresServer, *, pool_size: int, settings: Mapping[str, str] | None = None
) -> Iterator[Pooler]:
    """Run PgBouncer in transaction mode: each database has ``pool_size`` server connections for all its clients."""
    folder = _folder_of(server)
    port = Port()
    parts = urlsplit(server.url())
    users, log, configuration = folder / "users.txt", folder / "log", folder / "pgbouncer.ini"
    users.write_text(f'"{parts.username}" "{parts.password}"\n')
    configuration.write_text(
        CONFIGURATION.format(
            host=HOST, server_port=server.port, port=port, users=users, log=log, pool_size=pool_size
        ).lstrip()
        + "".join(f"{name} = {value}\n" for name, value in (settings or {}).items())
    )
    process = subprocess.Popen(
        [folder / "pgbouncer", configuration],
        cwd=folder,
        env={"LD_LIBRARY_PATH": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **server.binaries.account,
    )
    try:
        _wait_for(port.number, process, log)
        yield Pooler(port.number)
    finally:
        process.terminate()
        process.wait(30)


def _folder_of(server: PostgresServer) -> Path:
    """Copy the program to where the unprivileged account may read, because PgBouncer refuses to run as root."""
    program = FOLDER / "usr" / "sbin" / "pgbouncer"
    if not program.exists():
        raise FileNotFoundError(f"There is no PgBouncer in {FOLDER}. {ADVICE}")
    folder = server.workspace / "pgbouncer"
    folder.mkdir(exist_ok=True)
    for part in (program, *FOLDER.glob("usr/lib/*/*.so*")):
        if not (folder / part.name).exists():
            shutil.copy(part, folder / part.name)
    account = server.binaries.account
    if account:
        os.chown(folder, account["user"], account["group"])
    return folder


def _wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection((HOST, port)):
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"PgBouncer did not start:\n{log.read_text() if log.exists() else ''}")
        time.sleep(0.02)
