"""Promise what the rest of Hansard may ask of a database."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from sqlalchemy import Dialect

from hansard.database.statement import PreparedCall, Rows
from hansard.errors import DatabaseUnavailable


class Connections(NamedTuple):
    """Say how many connections are in use, how many wait to be used, and how many there may be."""

    lent: int
    idle: int
    most: int


class Transaction(Protocol):
    """Run several scripts in one transaction of one user.

    ``over`` is set when its block has ended: a task that the block started may live on, and must not reach a
    connection that is somebody else's by then.
    """

    user_id: str
    over: bool

    async def run(self, calls: Sequence[PreparedCall]) -> list[Rows]:
        """Run a script; when it fails, it alone is undone and the transaction goes on."""

    def savepoint(self) -> AbstractAsyncContextManager[None]:
        """Make a part of the transaction that is undone alone when it raises."""


class Backend(Protocol):
    """Run scripts, each in a transaction of its own, scoped to one user.

    ``arrays`` says whether a statement can take a whole column of values as one parameter, ``functions`` whether the
    migrations make functions in the database.
    """

    name: str
    arrays: bool
    functions: bool
    sqlalchemy_dialect: Dialect

    @property
    def connections(self) -> Connections | None:
        """Return what the pool of connections does; ``None`` where there is none."""

    async def read(self, user_id: str, calls: Sequence[PreparedCall]) -> list[Rows]:
        """Run a script that changes nothing, on one snapshot where the database has snapshots."""

    async def read_together(self, user_id: str, calls: Sequence[PreparedCall]) -> list[Rows]:
        """Run a script as `read` does, in one trip with what others ask for at the same moment."""

    async def write(self, user_id: str, calls: Sequence[PreparedCall], *, idempotent: bool) -> list[Rows]:
        """Run a script and commit it durably before returning.

        Done or undone, also when cancelled. Only an ``idempotent`` script is sent again after a lost connection.
        """

    def transaction(self, user_id: str) -> AbstractAsyncContextManager[Transaction]:
        """Hold one transaction open, for at most ``TRANSACTION_SECONDS``."""

    async def close(self) -> None:
        """Let go of every connection."""


TRANSACTION_SECONDS = 30.0


def block_over() -> DatabaseUnavailable:
    """Return the error for work asked of a block that has ended."""
    return DatabaseUnavailable(
        f"the atomic block is over: it ended or took longer than {TRANSACTION_SECONDS:.0f} s; this was not written"
    )


def closed() -> DatabaseUnavailable:
    """Return the error for work asked of a database that was closed."""
    return DatabaseUnavailable("the database was closed; nothing was written")


POOL_SIZE = 16
