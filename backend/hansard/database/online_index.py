"""Index tables that may hold rows while others go on writing to them; revisions call this."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from alembic import op
from sqlalchemy import Connection, TextClause, text

from hansard.database.isolation import on_postgres
from hansard.database.spelling import execute, spell


def create_index(
    name: str,
    table: str,
    columns: Sequence[str | TextClause],
    *,
    unique: bool = False,
    where: str | None = None,
    using: str | None = None,
) -> None:
    """Make an index without keeping writers out.

    On PostgreSQL this cannot be part of a transaction: what the run did before is committed first, so let it be all
    that its revision does. When it fails, an index that is not valid is left behind, and dropped at the next try.
    """
    condition = None if where is None else text(where)
    if not on_postgres():
        op.create_index(name, table, columns, unique=unique, sqlite_where=condition)
        return
    with _alone() as connection:
        if _state(connection, name) == "invalid":
            execute(connection, "DROP INDEX CONCURRENTLY {name}", name=name)
        op.create_index(
            name,
            table,
            columns,
            unique=unique,
            postgresql_where=condition,
            postgresql_using=using,
            postgresql_concurrently=True,
            if_not_exists=True,
        )


def drop_index(name: str, table: str) -> None:
    """Drop an index without keeping writers out; what holds for `create_index` holds here."""
    if not on_postgres():
        op.drop_index(name, table)
        return
    with _alone() as connection:
        execute(connection, "DROP INDEX CONCURRENTLY IF EXISTS {name}", name=name)


@contextmanager
def _alone() -> Iterator[Connection]:
    """Leave the transaction, and wait as long as it takes: nobody waits for us meanwhile."""
    with op.get_context().autocommit_block():
        connection = op.get_bind()
        connection.execute(text("SET lock_timeout = 0"))
        connection.execute(text("SET statement_timeout = 0"))
        try:
            yield connection
        finally:
            connection.execute(text("RESET lock_timeout"))
            connection.execute(text("RESET statement_timeout"))


def _state(connection: Connection, name: str) -> str:
    found = connection.execute(
        text(
            "SELECT CASE WHEN indisvalid THEN 'valid' ELSE 'invalid' END FROM pg_index "
            "WHERE indexrelid = to_regclass(:name)"
        ),
        {"name": spell(connection, "{name}", name=name)},
    )
    return found.scalar() or "missing"
