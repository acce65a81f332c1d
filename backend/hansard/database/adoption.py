"""Decide whether a database that others made can be adopted, before anything in it is touched."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from hansard.database.isolation import PROVISIONED_COLUMNS
from hansard.database.phase2 import COLUMNS, TABLES, Column, Kind, Phase2
from hansard.errors import ConfigurationError
from hansard.models import metadata

_TIMES = {Kind.TIMESTAMP, Kind.TIMESTAMPTZ}
# What must be there, and what may be in it; SQLite stores truth values as numbers.
_NEEDED: Mapping[str, Mapping[str, set[Kind]]] = {
    "user": {"id": {Kind.TEXT}},
    "task": {
        "id": {Kind.INTEGER, Kind.TEXT},
        "user_id": {Kind.TEXT},
        "title": {Kind.TEXT},
        "completed": {Kind.BOOLEAN, Kind.INTEGER},
        "created_at": _TIMES,
        "updated_at": _TIMES,
    },
}
_FILLED = {
    "user": set(PROVISIONED_COLUMNS),
    "task": {"id", "user_id", "title", "description", "completed", "created_at", "updated_at"},
}
# As strong as what follows needs: a policy on the one, a foreign key to the other.
_LOCKS = {
    "task": "LOCK TABLE task IN ACCESS EXCLUSIVE MODE",
    "user": 'LOCK TABLE "user" IN SHARE ROW EXCLUSIVE MODE',
}
_RETRY_SECONDS = 0.05


def survey(connection: Connection) -> list[str]:
    """Return what a person should know about the tables that stand, one sentence each.

    Raises `ConfigurationError`, with advice, when they cannot be adopted; nothing is changed either way.
    """
    standing = _relations(connection)
    phase2 = _columns(connection)
    problems = [*_taken_names(standing), *_misfits(connection, standing, phase2)]
    if connection.dialect.name == "postgresql":
        problems += [*_misplaced(connection), *_powerless(connection)]
    if problems:
        raise ConfigurationError(
            "this database cannot be adopted as it is; nothing was changed."
            + "".join(f"\n  - {one}" for one in problems)
        )
    return [*_notes(connection.dialect.name, phase2), *obstacles(connection)]


def obstacles(connection: Connection) -> list[str]:
    """Return what keeps us from making users or tasks in the tables that stand, one sentence each."""
    phase2 = _columns(connection)
    return [
        *_demands("user", phase2.user, "users whom the application has not made cannot be made by Hansard"),
        *_demands("task", phase2.task, "Hansard cannot make tasks"),
    ]


def claim(connection: Connection, standing: Collection[str], *, seconds: float) -> None:
    """Lock the tables that stand for the rest of the transaction, never holding one while waiting for the other.

    So the old backend's transactions, which take them in any order, cannot end in a deadlock with us.
    """
    deadline = time.monotonic() + seconds
    locks = [lock for table, lock in _LOCKS.items() if table in standing]
    while not _claimed(connection, locks, last_try=time.monotonic() > deadline):
        time.sleep(_RETRY_SECONDS)


def _claimed(connection: Connection, locks: Sequence[str], *, last_try: bool) -> bool:
    try:
        with connection.begin_nested():
            for wait, lock in zip(("", " NOWAIT"), locks, strict=False):
                connection.execute(text(lock + wait))
    except DBAPIError as error:
        if last_try or getattr(error.orig, "sqlstate", None) != "55P03":
            raise
        return False
    return True


def _columns(connection: Connection) -> Phase2:
    return Phase2.of(tuple(row) for row in connection.execute(COLUMNS[connection.dialect.name]))


def _relations(connection: Connection) -> dict[str, str]:
    """Return all that stands where our tables will, with its kind: ``table``, ``view`` …."""
    statement = {
        "postgresql": "SELECT relname, CASE WHEN relkind IN ('r', 'p') THEN 'table' WHEN relkind IN ('v', 'm') "
        "THEN 'view' ELSE 'relation' END FROM pg_class "
        "WHERE relnamespace = to_regnamespace(quote_ident(current_schema()))",
        "sqlite": "SELECT name, type FROM sqlite_master",
    }[connection.dialect.name]
    return dict(tuple(row) for row in connection.execute(text(statement)))


def _taken_names(standing: Mapping[str, str]) -> Iterator[str]:
    for table in metadata.tables:
        if table in standing and table not in TABLES:
            yield (
                f"the {standing[table]} {table} is somebody else's, and Hansard needs the name: rename it, or give "
                "Hansard a database or schema of its own"
            )


def _misfits(connection: Connection, standing: Mapping[str, str], phase2: Phase2) -> Iterator[str]:
    for table in TABLES:
        if table not in standing:
            continue
        if standing[table] != "table":
            yield f"{table} is a {standing[table]}; Hansard needs a table of that name, or none"
            continue
        yield from _misfit_columns(table, getattr(phase2, table))
        if table == "user" and not _identifies(connection):
            yield "user.id is neither the primary key nor unique: conversations could not refer to it"


def _misfit_columns(table: str, columns: Mapping[str, Column]) -> Iterator[str]:
    for name, kinds in _NEEDED[table].items():
        wanted = " or ".join(sorted(kind.value for kind in kinds))
        if name not in columns:
            yield f"{table} has no column {name} ({wanted})"
        elif columns[name].kind not in kinds:
            yield (
                f"{table}.{name} is of the type {columns[name].type}, and {wanted} is needed: change it first, or give "
                "Hansard a database or schema of its own"
            )


def _identifies(connection: Connection) -> bool:
    """Say whether a foreign key can refer to ``user.id``."""
    statement = {
        "postgresql": "SELECT EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid "
        "AND a.attnum = i.indkey[0] AND a.attname = 'id' WHERE i.indrelid = to_regclass('\"user\"') "
        "AND i.indnkeyatts = 1 AND i.indisunique AND i.indimmediate AND i.indisvalid "
        "AND i.indpred IS NULL AND i.indexprs IS NULL)",
        "sqlite": "SELECT coalesce((SELECT group_concat(name) FROM pragma_table_info('user') WHERE pk > 0) = 'id', 0) "
        "OR EXISTS (SELECT 1 FROM pragma_index_list('user') i WHERE i.\"unique\" AND NOT i.partial "
        "AND (SELECT group_concat(coalesce(name, '')) FROM pragma_index_info(i.name)) = 'id')",
    }[connection.dialect.name]
    return bool(connection.execute(text(statement)).scalar_one())


def _misplaced(connection: Connection) -> Iterator[str]:
    rows = connection.execute(
        text(
            "SELECT c.relname, n.nspname, current_schema() FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
            "WHERE c.oid IN (to_regclass('\"user\"'), to_regclass('task')) AND n.nspname <> current_schema()"
        )
    )
    for table, there, here in rows:
        yield (
            f"{table} stands in the schema {there}, but new tables would be made in {here}: "
            f"put {there} first in the login's search_path"
        )


def _powerless(connection: Connection) -> Iterator[str]:
    """Say what the login may not do; only an owner can grant, refer to and guard a table."""
    may_make = text("SELECT has_schema_privilege(current_schema(), 'CREATE'), current_user, current_schema()")
    allowed, login, schema = connection.execute(may_make).one()
    if not allowed:
        yield f"the login {login} may not make tables in the schema {schema}; run: GRANT CREATE ON SCHEMA {schema} …"
    owners = connection.execute(
        text(
            "SELECT relname, pg_get_userbyid(relowner) FROM pg_class "
            "WHERE oid IN (to_regclass('\"user\"'), to_regclass('task')) AND NOT pg_has_role(relowner, 'USAGE')"
        )
    )
    for table, owner in owners:
        yield f"{table} belongs to {owner} and not to {login}: migrate as {owner} (DATABASE_URL_DIRECT)"


def _notes(dialect: str, phase2: Phase2) -> Iterator[str]:
    if phase2.user:
        yield (
            "The table user is adopted as it is. One thing changes for its application: a user who has conversations "
            "cannot be deleted before these are."
        )
    if phase2.user and phase2.user.get("email", _OPTIONAL).demanding:
        yield "user.email must be given: a user whose token names no e-mail address cannot be made by Hansard."
    if phase2.task:
        yield "The table task is adopted as it is; its ids, columns and rows stay."
    if phase2.task and dialect == "postgresql":
        yield (
            "Row-level security on task binds Hansard's runtime role only. Two commands of others know no exceptions: "
            "COPY task FROM and pg_dump need a login that owns the table or bypasses row-level security."
        )


_OPTIONAL = Column("user", "email", "varchar", demanding=False)


def _demands(table: str, columns: Mapping[str, Column], consequence: str) -> Iterator[str]:
    unknown = [column.name for column in columns.values() if column.demanding and column.name not in _FILLED[table]]
    if unknown:
        yield f"{table}: {', '.join(unknown)} must be given and Hansard does not know what to give, so {consequence}."
