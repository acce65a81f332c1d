"""Search on PostgreSQL: the way past row-level security, and the indexes.

Under row-level security an index on text is not used, because its operators might leak what they are tried on. So the
function that searches runs as a role of its own. That role cannot log in, owns this one function and may read some
columns of two tables, of everybody; the function takes the user from where row-level security takes it, and refuses
without one. Where the login may not set that up, the function runs as its caller: right, but slow.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from hansard.database.roles import ensure_role, read_login, read_role
from hansard.database.spelling import execute, spell
from hansard.errors import ConfigurationError, SchemaOutdated
from hansard.models.search import SEARCHED_CODE_POINTS, SearchSettings

PREFIX: Final = "ix_messages_search_"
_WORDS: Final = f"{PREFIX}words_"
POLICY: Final = "hansard_search"
FUNCTION: Final = (
    "hansard_search(regconfig, text[], text[], boolean, uuid, text, timestamptz, timestamptz, boolean, bigint, "
    "timestamptz, uuid, bigint, integer)"
)
READABLE: Final = {
    "messages": ("user_id", "conversation_id", "position", "kind", "role", "content", "public_id", "created_at"),
    "conversations": ("user_id", "id", "title", "archived_at"),
}
_ALL_SLOW: Final = "until then a search reads all the user's messages"
# Not there to be made, not ours to make, or in the way of something else.
_REFUSED: Final = {"42501", "0A000", "58P01", "22023", "42710"}

_STANDING: Final = text(
    "SELECT relname, indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid "
    "WHERE indrelid = to_regclass('messages') AND relname LIKE :pattern ORDER BY relname"
).bindparams(pattern=PREFIX.replace("_", r"\_") + "%")
_OWNER: Final = text(
    "SELECT rolname FROM pg_proc JOIN pg_roles ON pg_roles.oid = proowner "
    "WHERE pg_proc.oid = to_regprocedure(:function) AND prosecdef"
).bindparams(function=FUNCTION)


class _Index(NamedTuple):
    """Hold an index: its name says all that it depends on."""

    name: str
    definition: str
    extensions: tuple[str, ...]


def search_role(role: str) -> str:
    """Return the name of the role that searches for the runtime role."""
    return f"{role}_search"


def apply(connection: Connection, settings: SearchSettings, *, role: str) -> list[str]:
    """Open the way, make and drop indexes; return what could not be made, and what to do about it."""
    _check(connection, settings)
    told = [] if settings.mode == "off" else _open_way(connection, role)
    connection.commit()
    return told + _apply_indexes(connection, {index.name: index for index in _indexes(settings)})


def lacks(connection: Connection, settings: SearchSettings, *, role: str) -> list[str]:
    """Return what is missing for searches to be quick."""
    if settings.mode == "off":
        return []
    ready = {name for name, valid in connection.execute(_STANDING) if valid}
    missing = [f"the index {index.name}" for index in _indexes(settings) if index.name not in ready]
    reader = search_role(role)
    if connection.execute(_OWNER).scalar() != reader:
        missing.insert(0, f"the way past row-level security, by the role {reader}")
    return missing


def remove(connection: Connection) -> None:
    """Drop the indexes and all that lets the function past row-level security."""
    for name, _valid in connection.execute(_STANDING).all():
        execute(connection, "DROP INDEX {name}", name=name)
    reader = connection.execute(_OWNER).scalar()
    for table in READABLE:
        execute(connection, f"DROP POLICY IF EXISTS {POLICY} ON {{table}}", table=table)
        if reader is not None:
            execute(connection, "REVOKE ALL ON {table} FROM {reader}", table=table, reader=reader)
    if reader is not None:
        execute(connection, "REVOKE ALL ON SCHEMA {schema} FROM {reader}", schema=_schema(connection), reader=reader)


def drop_words(connection: Connection) -> None:
    """Drop the indexes of words, which hold what the functions said of each message when it was written."""
    for name, _valid in connection.execute(_STANDING).all():
        if name.startswith(_WORDS):
            execute(connection, "DROP INDEX {name}", name=name)


def _check(connection: Connection, settings: SearchSettings) -> None:
    if connection.execute(text("SELECT to_regproc('hansard_search')")).scalar() is None:
        raise SchemaOutdated("the database has no search yet; run: hansard db upgrade")
    known = text("SELECT EXISTS (SELECT FROM pg_ts_config WHERE cfgname = :language AND pg_ts_config_is_visible(oid))")
    if not connection.execute(known, {"language": settings.language}).scalar_one():
        raise ConfigurationError(
            f"the server knows no text search language {settings.language!r} (HANSARD_SEARCH_LANGUAGE); "
            "psql lists those it knows by \\dF"
        )


def _open_way(connection: Connection, role: str) -> list[str]:
    reader = search_role(role)
    if connection.execute(_OWNER).scalar() == reader:
        return []
    try:
        with connection.begin_nested():
            ensure_role(connection, reader)
            _grant(connection, reader)
            _hand_over(connection, reader)
            return _part(connection, reader)
    except ConfigurationError as error:
        return [f"{error}\n({_ALL_SLOW}; afterwards run: hansard db search)"]
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) not in _REFUSED:
            raise
        return [f"{_primary(error)}: the function hansard_search cannot be handed to {reader}, and {_ALL_SLOW}"]


def _grant(connection: Connection, reader: str) -> None:
    for table, columns in READABLE.items():
        rights = f"GRANT SELECT ({', '.join(columns)}) ON {{table}} TO {{reader}}"
        execute(connection, rights, table=table, reader=reader)
        execute(connection, f"DROP POLICY IF EXISTS {POLICY} ON {{table}}", table=table)
        # Without a condition: one that is no index's would come before all others again.
        policy = f"CREATE POLICY {POLICY} ON {{table}} FOR SELECT TO {{reader}} USING (true)"
        execute(connection, policy, table=table, reader=reader)


def _hand_over(connection: Connection, reader: str) -> None:
    schema = _schema(connection)
    # The new owner must be able to make functions there, for this moment.
    able = text("SELECT has_schema_privilege(:reader, :schema, :right)")
    for right in ("USAGE", "CREATE"):
        if not connection.execute(able, {"reader": reader, "schema": schema, "right": right}).scalar_one():
            execute(connection, f"GRANT {right} ON SCHEMA {{schema}} TO {{reader}}", schema=schema, reader=reader)
    execute(connection, f"ALTER FUNCTION {FUNCTION} SECURITY DEFINER")
    execute(connection, f"ALTER FUNCTION {FUNCTION} OWNER TO {{reader}}", reader=reader)
    execute(connection, "REVOKE CREATE ON SCHEMA {schema} FROM {reader}", schema=schema, reader=reader)


def _part(connection: Connection, reader: str) -> list[str]:
    """Leave the role again where it would be inherited: its policy would let the login's own queries in, too."""
    inherited = text("SELECT pg_has_role(:reader, 'USAGE')")
    login = read_login(connection)
    if login.superuser or not connection.execute(inherited, {"reader": reader}).scalar_one():
        return []
    try:
        with connection.begin_nested():
            execute(connection, "REVOKE {reader} FROM CURRENT_USER", reader=reader)
    except DBAPIError:
        pass
    if not read_role(connection, reader).settable:
        return []
    revoke = spell(connection, "REVOKE {reader} FROM {login}", reader=reader, login=login.name)
    return [f"the login {login.name} inherits the role {reader} and so may read everybody's messages; run: {revoke}"]


def _indexes(settings: SearchSettings) -> Iterator[_Index]:
    if settings.mode == "off":
        return
    yield _Index(
        f"{_WORDS}{settings.language}",
        "CREATE INDEX CONCURRENTLY {name} ON messages USING gin (user_id, hansard_words({language}, content))",
        ("btree_gin",),
    )
    if settings.mode == "words+substring":
        most = SEARCHED_CODE_POINTS
        searched = f"CASE WHEN octet_length(content) <= {most} THEN content ELSE left(content, {most}) END"
        yield _Index(
            f"{PREFIX}substrings",
            f"CREATE INDEX CONCURRENTLY {{name}} ON messages USING gin (user_id, ({searched}) gin_trgm_ops)",
            ("btree_gin", "pg_trgm"),
        )


def _apply_indexes(connection: Connection, wanted: dict[str, _Index]) -> list[str]:
    # An index cannot be built inside a transaction without locking the table; and it takes as long as it takes.
    alone = connection.execution_options(isolation_level="AUTOCOMMIT")
    alone.exec_driver_sql("SET statement_timeout = 0")
    try:
        standing = {name: valid for name, valid in alone.execute(_STANDING)}  # noqa: C416 - a row is no tuple to mypy
        for name, valid in standing.items():
            if name not in wanted or not valid:
                execute(alone, "DROP INDEX CONCURRENTLY {name}", name=name)
        missing = [index for name, index in wanted.items() if not standing.get(name)]
        return [told for index in missing if (told := _make(alone, index))]
    finally:
        alone.exec_driver_sql("RESET statement_timeout")


def _make(connection: Connection, index: _Index) -> str | None:
    language = index.name.rpartition("_")[2]
    try:
        for extension in index.extensions:
            execute(connection, "CREATE EXTENSION IF NOT EXISTS {extension}", extension=extension)
        execute(connection, index.definition, texts={"language": language}, name=index.name)
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) not in _REFUSED:
            raise
        needed = " and ".join(f"CREATE EXTENSION {extension}" for extension in index.extensions)
        return (
            f"the index {index.name} could not be made ({_primary(error)}), and {_ALL_SLOW}. "
            f"Have an administrator run {needed}, then: hansard db search"
        )
    return None


def _primary(error: DBAPIError) -> str:
    return str(error.orig.diag.message_primary)  # type: ignore[union-attr] # whoever has a SQLSTATE has this


def _schema(connection: Connection) -> str:
    return str(connection.execute(text("SELECT current_schema()")).scalar_one())
