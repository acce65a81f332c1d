"""Read database URLs as people paste them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from hansard.errors import ConfigurationError

_POSTGRES = ("postgresql", "postgres")
_DRIVERS = ("", "+psycopg", "+asyncpg", "+psycopg2", "+aiosqlite", "+pysqlite")


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """Hold a checked URL; its ``text`` may hold a password, its ``str()`` does not."""

    kind: str
    text: str = field(repr=False)
    path: Path | None = None

    @property
    def is_sqlite(self) -> bool:
        """Say whether the database is a file."""
        return self.kind == "sqlite"

    def __str__(self) -> str:
        if self.is_sqlite:
            return f"sqlite:///{self.path}"
        parts = urlsplit(self.text)
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme, host, parts.path, "", ""))


def parse_url(text: str) -> DatabaseUrl:
    """Return the URL as one the drivers take.

    ``sqlite:///relative.db`` and ``sqlite:////absolute.db`` name files; ``postgresql://`` (also ``postgres://``)
    takes every parameter libpq knows, so the string a provider shows can be pasted as it is. A driver suffix
    such as ``+asyncpg`` is dropped, as are the quotes and the ``psql`` that consoles put around it. Raises
    `ConfigurationError`, which never repeats the password.
    """
    scheme, separator, rest = text.strip().removeprefix("psql ").strip(" '\"").partition("://")
    base, plus, driver = scheme.lower().partition("+")
    if not separator or plus + driver not in _DRIVERS:
        raise ConfigurationError("DATABASE_URL must look like sqlite:///path or postgresql://user@host/database")
    if base == "sqlite":
        return _sqlite(rest)
    if base in _POSTGRES:
        return DatabaseUrl("postgresql", f"postgresql://{rest}")
    raise ConfigurationError(f"DATABASE_URL names {base!r}; sqlite and postgresql are known")


def _sqlite(rest: str) -> DatabaseUrl:
    name = unquote(rest.partition("?")[0])
    if not name.startswith("/") or name in {"/", "/:memory:"}:
        raise ConfigurationError(
            "a SQLite database must be a file, because what is acknowledged must be on disk: sqlite:///path/to/file.db"
        )
    path = Path(name[1:]).expanduser()
    return DatabaseUrl("sqlite", f"sqlite:///{path}", path)
