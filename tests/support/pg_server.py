"""Start a throw-away, real PostgreSQL server for tests and benchmarks: no container, no installation, root or not.

`with running_postgres() as server:` is all of it; then `server.make_template("migrated", migrate)` prepares a database
once and `server.clone("migrated")` copies it in some 50 ms. Nothing of the server outlives this process, however that
ends: see `pg_guard`.
"""

import contextlib
import itertools
import os
import secrets
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from tests.support import pg_guard
from tests.support.pg_binaries import Account, Binaries, PostgresUnavailableError, prepare_binaries
from tests.support.ports import Port

HOST = "127.0.0.1"
SUPERUSER = "postgres"
BASE_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",  # a socket's path may have 107 bytes only: not every TMPDIR leaves room
    "max_connections": "200",
    "shared_buffers": "64MB",
    "timezone": "UTC",
}
# A test server's data need not survive a power failure. `durable=True` leaves PostgreSQL's own defaults instead.
FAST_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_wal_size": "128MB"}


class PostgresServer:
    """One running server with a superuser of its own; databases are copied from templates."""

    def __init__(self, workspace: Path, binaries: Binaries) -> None:
        self.workspace = workspace
        self.binaries = binaries
        self.port = Port()
        self._data = workspace / "data"
        # Not `trust`: whoever reaches a superuser's port could run programs as the one who started the tests.
        self._password = secrets.token_urlsafe(16)
        self._templates: set[str] = set()
        self._names = (f"clone_{number}" for number in itertools.count(1))

    def url(self, database: str = "postgres") -> str:
        """Return the URL of `database` for the superuser."""
        return f"postgresql://{SUPERUSER}:{self._password}@{HOST}:{self.port}/{database}"

    def make_template(self, name: str, setup: Callable[[str], object]) -> None:
        """Make the database `name` by `setup(url)`, once: later calls return at once.

        `setup` must leave no connection open. What it raises is passed on, and the half-made database is dropped.
        """
        if name in self._templates:
            return
        self._execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            setup(self.url(name))
        except BaseException:
            self.drop(self.url(name))
            raise
        # PostgreSQL refuses to copy a database that somebody is connected to.
        self._execute(sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS false").format(sql.Identifier(name)))
        self._templates.add(name)

    def clone(self, template: str = "template0") -> str:
        """Copy `template` (by default an empty database) into a new database and return its URL."""
        name = next(self._names)
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        self._execute(statement)
        return self.url(name)

    def drop(self, url: str) -> None:
        """Drop the database of `url`, also while somebody is connected to it."""
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(_database_of(url)))
        self._execute(statement)

    def connections(self, url: str) -> int:
        """Count the client connections to the database of `url`."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            row = connection.execute(query, [_database_of(url)]).fetchone()
        return row[0] if row else 0

    def assert_unused(self, url: str) -> None:
        """Prove that a test that has ended left no connection; what serves a closed one takes a moment to end."""
        deadline = time.monotonic() + 30
        while left := self.connections(url):
            assert time.monotonic() < deadline, f"{left} connections are left"
            time.sleep(0.005)

    def initialise(self, settings: Mapping[str, str]) -> None:
        """Make the data folder, with these configuration parameters. Called by `running_postgres`."""
        password_file = self.workspace / "password"
        password_file.write_text(self._password)
        password_file.chmod(0o600)
        _give(password_file, self.binaries.account)
        # The same collation on every machine; from 17 on it is built in, before it comes from the C library.
        if self.binaries.major >= 17:
            locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        else:
            locale = ["--locale=C.UTF-8"]
        access = [f"--username={SUPERUSER}", f"--pwfile={password_file}", "--auth=scram-sha-256"]
        self._run("initdb", "-D", str(self._data), "--encoding=UTF8", "--no-sync", *access, *locale)
        password_file.unlink()
        with (self._data / "postgresql.conf").open("a") as configuration:
            configuration.writelines(f"{name} = {_quoted(value)}\n" for name, value in settings.items())
        stop = self.workspace / "stop"
        stop.write_text("\n".join([*self._pg_ctl("stop"), "-m", "immediate"]))
        _give(stop, self.binaries.account)

    def start(self) -> None:
        """Start the server, on the port that it keeps."""
        log = self.workspace / "log"
        try:
            self._run(*self._pg_ctl("start"), "-l", str(log), "-o", f"-p {self.port}")
        except PostgresUnavailableError as error:
            said = log.read_text(errors="replace") if log.exists() else ""
            raise PostgresUnavailableError(f"{error}\n{said}") from None

    def stop(self, *, mode: str = "immediate") -> None:
        """Stop the server, `immediate` (like a crash) or `fast` (in good order); `start` brings it back."""
        self._run(*self._pg_ctl("stop"), "-m", mode)

    def _pg_ctl(self, verb: str) -> list[str]:
        return [str(self.binaries.folder / "pg_ctl"), verb, "-D", str(self._data), "-w", "-t", "60"]

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.binaries.folder / program), *arguments]
        environment = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
        # A file, not a pipe: the server inherits pg_ctl's output and would hold a pipe open for ever.
        with tempfile.TemporaryFile("w+") as output:
            finished = subprocess.run(
                command,
                cwd=self.workspace,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
                **self.binaries.account,
            )
            output.seek(0)
            if finished.returncode:
                raise PostgresUnavailableError(f"{' '.join(command)} failed:\n{output.read()}")

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement)


@contextlib.contextmanager
def running_postgres(*, durable: bool = False, settings: Mapping[str, str] | None = None) -> Iterator[PostgresServer]:
    """Start a server, and remove every trace of it at the end.

    `durable` keeps fsync and its relatives on, for measurements and for tests of a crash. `settings` are
    configuration parameters that win over ours. Raises `PostgresUnavailableError`, with advice.
    """
    ours = BASE_SETTINGS if durable else {**BASE_SETTINGS, **FAST_SETTINGS}
    with _guarded_workspace() as workspace:
        server = PostgresServer(workspace, prepare_binaries(workspace))
        server.initialise({**ours, **(settings or {})})
        server.start()
        yield server


@contextlib.contextmanager
def _guarded_workspace() -> Iterator[Path]:
    workspace = Path(tempfile.mkdtemp(prefix="hansard-pg-", dir=_parent()))
    workspace.chmod(0o711)  # the unprivileged account must reach a copied wheel, nobody need list it
    guard = subprocess.Popen(
        [sys.executable, "-I", "-S", pg_guard.__file__, str(workspace)],
        cwd="/",
        env={},  # nothing marks it as one of a test run's processes: it outlives them, to tidy up
        stdin=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C at the terminal is for pytest, not for the guard
    )
    try:
        yield workspace
    finally:
        # A line and not only the end of the pipe: a forked child of ours may hold the pipe open.
        guard.communicate(b"\n", timeout=90)


def _parent() -> Path:
    """Return where temporary folders lie, or /tmp where the way there is closed to root's unprivileged account."""
    usual = Path(tempfile.gettempdir())
    is_closed = any(not folder.stat().st_mode & stat.S_IXOTH for folder in (usual, *usual.parents))
    return Path("/tmp") if os.geteuid() == 0 and is_closed else usual


def _database_of(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _give(path: Path, account: Account) -> None:
    if account:
        os.chown(path, account["user"], account["group"])
