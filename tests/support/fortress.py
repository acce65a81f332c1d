"""A migrated PostgreSQL database as production has it, and the three kinds of logins a service may come with."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from hansard.database import isolation_check, migrations
from tests.support.logins import Login
from tests.support.observers import Observer
from tests.support.pg_server import PostgresServer

ROLE = migrations.DEFAULT_ROLE
LOGINS = ["superuser", "owner", "plain member"]


@dataclass(frozen=True)
class Fortress:
    """Hold the URL of each kind of login for one database."""

    superuser: str
    owner: str
    plain: str

    def url(self, login: str) -> str:
        """Return the URL of one of `LOGINS`."""
        return {"superuser": self.superuser, "owner": self.owner, "plain member": self.plain}[login]


@contextmanager
def standing(server: PostgresServer) -> Iterator[Fortress]:
    """Make a database that its owner migrated, and take it away again."""
    url = server.clone()
    owner, plain = Login(server), Login(server)
    for role in (ROLE, f"{ROLE}_search"):
        owner.acts_as(role)
    plain.acts_as(ROLE)
    fortress = Fortress(url, owner.owns(url), plain.url(url))
    migrations.upgrade(fortress.owner)
    yield fortress
    server.assert_unused(url)
    server.drop(url)


@contextmanager
def acting(url: str, user_id: str | None) -> Iterator[psycopg.Connection]:
    """Yield a connection in a transaction like one of the service's: as the runtime role, for a user or for nobody.

    What is done is undone in the end.
    """
    with psycopg.connect(url) as connection:
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(ROLE)))
        if user_id is not None:
            connection.execute("SELECT set_config('hansard.user_id', %s, true)", [user_id])
        yield connection
        connection.rollback()


def rows_of(observer: Observer, user_id: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of a user in every table, as an onlooker without bounds sees it."""
    tables = [*isolation_check.isolated_tables(), "task"]
    found = {
        table: sorted(observer.execute(f'SELECT * FROM "{table}" WHERE user_id = ?', user_id), key=repr)
        for table in tables
    }
    return found | {"user": observer.execute('SELECT * FROM "user" WHERE id = ?', user_id)}
