"""Open a database and run units of work on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar

from sqlalchemy import select
from sqlalchemy.sql import Executable

from hansard.database.dialects.base import POOL_SIZE, Backend, Connections, Transaction
from hansard.database.dialects.sqlite import SqliteBackend
from hansard.database.roles import DEFAULT_ROLE
from hansard.database.standing import REVISION
from hansard.database.statement import Call, Prepared, PreparedCall, Rows, Script
from hansard.database.urls import parse_url
from hansard.errors import ConfigurationError
from hansard.models import metadata

# Whoever may not read our tables is refused this, too.
_NOTHING = select(metadata.tables["conversations"].c.user_id).limit(0)


class Database:
    """Run scripts for users: each alone in a transaction, or together inside `atomic`.

    ``on_statement`` is called with the SQL of every statement that is sent; tests count with it.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._prepared: dict[Executable, Prepared] = {}
        self._open: ContextVar[Transaction | None] = ContextVar("open transaction", default=None)
        self.on_statement: Callable[[str], None] | None = None

    @property
    def dialect_name(self) -> str:
        """Return ``sqlite`` or ``postgresql``."""
        return self._backend.name

    @property
    def arrays(self) -> bool:
        """Say whether a statement can take a whole column of values as one parameter."""
        return self._backend.arrays

    @property
    def functions(self) -> bool:
        """Say whether the migrations make functions there, which a server plans once and not for every call."""
        return self._backend.functions

    @property
    def connections(self) -> Connections | None:
        """Return what the pool of connections does; ``None`` where there is none."""
        return self._backend.connections

    async def read(self, user_id: str, script: Script) -> list[Rows]:
        """Return the rows of every statement of a script that changes nothing."""
        calls = self._prepare(script)
        transaction = self._joined(user_id)
        found = await (transaction.run(calls) if transaction else self._backend.read(user_id, calls))
        return _decode(calls, found)

    async def read_together(self, user_id: str, script: Script) -> list[Rows]:
        """Read outside of any `atomic` block, in one trip with all who ask for this at the same moment."""
        calls = self._prepare(script)
        return _decode(calls, await self._backend.read_together(user_id, calls))

    async def write(self, user_id: str, script: Script, *, idempotent: bool = False) -> list[Rows]:
        """Return the rows of every statement of a script, committed unless inside `atomic`.

        Raises `ConstraintViolation`, `DatabaseUnavailable`, `OutcomeUnknown`; then nothing was written, or
        for the last, nobody knows.
        """
        calls = self._prepare(script)
        transaction = self._joined(user_id)
        if transaction:
            return _decode(calls, await transaction.run(calls))
        return _decode(calls, await self._backend.write(user_id, calls, idempotent=idempotent))

    @asynccontextmanager
    async def atomic(self, user_id: str) -> AsyncIterator[None]:
        """Join everything inside into one transaction; nested blocks are savepoints."""
        outer = self._joined(user_id)
        if outer is not None:
            async with outer.savepoint():
                yield
            return
        async with self._backend.transaction(user_id) as transaction:
            token = self._open.set(transaction)
            try:
                yield
            finally:
                self._open.reset(token)
                transaction.over = True

    async def ping(self) -> None:
        """Raise unless the database answers as every request needs it: to the runtime role, and with our tables."""
        await self._backend.read("", self._prepare([Call(_NOTHING, {})]))

    async def revision(self) -> str | None:
        """Return the revision of the database, read as the runtime role: the login may not see the schema itself.

        Raises `SchemaOutdated` where the database was never migrated.
        """
        [rows] = await self._backend.read("", self._prepare([Call(REVISION, {})]))
        return rows[0][0] if rows else None

    async def close(self) -> None:
        """Let go of every connection; what was acknowledged is on disk already."""
        await self._backend.close()

    def _joined(self, user_id: str) -> Transaction | None:
        transaction = self._open.get()
        if transaction is None or transaction.over:
            return None
        if transaction.user_id != user_id:
            raise RuntimeError("an atomic block belongs to one user; end it before working for another")
        return transaction

    def _prepare(self, script: Script) -> list[PreparedCall]:
        calls = []
        for statement, values in script:
            prepared = self._prepared.get(statement)
            if prepared is None:
                prepared = self._prepared[statement] = Prepared(statement, self._backend.sqlalchemy_dialect)
            if self.on_statement is not None:
                self.on_statement(prepared.sql)
            calls.append(PreparedCall(prepared, prepared.arguments(values)))
        return calls


def _decode(calls: list[PreparedCall], found: list[Rows]) -> list[Rows]:
    return [call.prepared.decode(rows) for call, rows in zip(calls, found, strict=True)]


async def open_database(
    url: str, *, role: str = DEFAULT_ROLE, pool_size: int = POOL_SIZE, prepare: bool = False
) -> Database:
    """Open the database at ``url``: a SQLite path or any PostgreSQL URL, such as the one a provider shows.

    Does not migrate (see `hansard.database.migrations`) and does not connect yet. PostgreSQL needs the ``postgres``
    extra, and the rest is for it alone: ``role`` is the runtime role that every transaction takes, ``pool_size`` the
    most connections at once. ``prepare`` keeps statements prepared on them: faster, and only for connections that
    go to the server directly, because a pooler would hand them to somebody else. Raises `ConfigurationError`.
    """
    parsed = parse_url(url)
    if parsed.path is not None:
        return Database(await SqliteBackend.open(parsed.path))
    try:
        from hansard.database.dialects.postgres import PostgresBackend  # noqa: PLC0415 - the driver is an extra
    except ImportError as error:
        raise ConfigurationError("PostgreSQL needs the driver: pip install 'hansard[postgres]'") from error
    return Database(PostgresBackend(parsed.text, role=role, pool_size=pool_size, prepare=prepare))
