"""Search on PostgreSQL: the indexes, made and dropped without keeping writers out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from hansard.database.spelling import execute
from hansard.errors import ConfigurationError, SchemaOutdated
from hansard.models.search import SEARCHED_CODE_POINTS, SearchSettings

PREFIX: Final = "ix_messages_search_"
# Not there to be made, or not ours to make.
_REFUSED: Final = {"42501", "0A000", "58P01", "22023"}


class _Index(NamedTuple):
    """Hold an index: its name says all that it depends on."""

    name: str
    definition: str
    extensions: tuple[str, ...]


def search_role(role: str) -> str:
    """Return the name of the role that searches for the runtime role."""
    return f"{role}_search"


def apply(connection: Connection, settings: SearchSettings) -> list[str]:
    """Make and drop indexes; return what could not be made, and what to do about it."""
    _check(connection, settings)
    connection.commit()
    wanted = {index.name: index for index in _indexes(settings)}
    # An index cannot be built inside a transaction without locking the table; and it takes as long as it takes.
    alone = connection.execution_options(isolation_level="AUTOCOMMIT")
    alone.exec_driver_sql("SET statement_timeout = 0")
    try:
        rows = alone.execute(_STANDING, {"pattern": PREFIX.replace("_", r"\_") + "%"})
        standing: dict[str, bool] = {name: valid for name, valid in rows}  # noqa: C416 - a row is no tuple to mypy
        for name, valid in standing.items():
            if name not in wanted or not valid:
                execute(alone, "DROP INDEX CONCURRENTLY {name}", name=name)
        missing = [index for name, index in wanted.items() if not standing.get(name)]
        return [told for index in missing if (told := _make(alone, index))]
    finally:
        alone.exec_driver_sql("RESET statement_timeout")


_STANDING: Final = text(
    "SELECT relname, indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid "
    "WHERE indrelid = to_regclass('messages') AND relname LIKE :pattern ORDER BY relname"
)


def _check(connection: Connection, settings: SearchSettings) -> None:
    if connection.execute(text("SELECT to_regproc('hansard_search')")).scalar() is None:
        raise SchemaOutdated("the database has no search yet; run: hansard db upgrade")
    known = text("SELECT EXISTS (SELECT FROM pg_ts_config WHERE cfgname = :language AND pg_ts_config_is_visible(oid))")
    if not connection.execute(known, {"language": settings.language}).scalar_one():
        raise ConfigurationError(
            f"the server knows no text search language {settings.language!r} (HANSARD_SEARCH_LANGUAGE); "
            "psql lists those it knows by \\dF"
        )


def _indexes(settings: SearchSettings) -> Iterator[_Index]:
    if settings.mode == "off":
        return
    yield _Index(
        f"{PREFIX}words_{settings.language}",
        "CREATE INDEX CONCURRENTLY {name} ON messages USING gin (user_id, hansard_words({language}, content))",
        ("btree_gin",),
    )
    if settings.mode == "words+substring":
        searched = f'"left"(content, {SEARCHED_CODE_POINTS}) gin_trgm_ops'
        yield _Index(
            f"{PREFIX}substring",
            f"CREATE INDEX CONCURRENTLY {{name}} ON messages USING gin (user_id, {searched})",
            ("btree_gin", "pg_trgm"),
        )


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
            f"the index {index.name} could not be made ({error.orig.diag.message_primary}); until it is there, "  # type: ignore[union-attr] # whoever has a SQLSTATE has this
            f"a search reads all the user's messages. Have an administrator run {needed}, then: hansard db search"
        )
    return None
