"""Make logins on the test server: the owner of a database, a plain member, somebody who may do nothing."""

import itertools
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from tests.support.pg_server import PostgresServer

_numbers = itertools.count(1)


class Login:
    """A role that may log in to one server; `url` turns a database's URL into this login's own."""

    def __init__(self, server: PostgresServer, *, attributes: str = "") -> None:
        self._server = server
        self.name = f'login "{next(_numbers)}" %s :x'  # whoever forgets to quote is found out
        self._password = "a password"
        statement = f"CREATE ROLE {{}} LOGIN PASSWORD {{}} {attributes}"
        self._as_superuser(sql.SQL(statement).format(self.identifier, sql.Literal(self._password)))

    @property
    def identifier(self) -> sql.Identifier:
        """The name, quoted."""
        return sql.Identifier(self.name)

    def url(self, database_url: str) -> str:
        """Return the URL of this login for the database of another URL."""
        parts = urlsplit(database_url)
        user = "".join(f"%{byte:02x}" for byte in self.name.encode())
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit(parts._replace(netloc=f"{user}:{self._password.replace(' ', '%20')}@{host}"))

    def owns(self, database_url: str) -> str:
        """Make this login the owner of a database; return its own URL."""
        database = urlsplit(database_url).path.lstrip("/")
        self._as_superuser(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(sql.Identifier(database), self.identifier))
        return self.url(database_url)

    def acts_as(self, role: str) -> None:
        """Have an administrator set up the runtime role for this login, as Hansard asks for it."""
        with psycopg.connect(self._server.url(), autocommit=True) as connection:
            known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
            if known is None:
                connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role)))
            option = " WITH INHERIT FALSE, SET TRUE" if self._server.binaries.major >= 16 else ""
            grant = sql.SQL("GRANT {} TO {}" + option).format(sql.Identifier(role), self.identifier)
            connection.execute(grant)

    def inherits(self, role: str) -> None:
        """Grant a role the old way: its rights come along in every query."""
        self._as_superuser(sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), self.identifier))

    def may(self, database_url: str, rights: str) -> str:
        """Grant rights in a database, such as ``SELECT ON task``; return this login's URL."""
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(sql.SQL(f"GRANT {rights} TO {{}}").format(self.identifier))
        return self.url(database_url)

    def _as_superuser(self, statement: sql.Composed) -> None:
        with psycopg.connect(self._server.url(), autocommit=True) as connection:
            connection.execute(statement)
