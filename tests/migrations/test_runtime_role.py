"""The role that row-level security binds: made once for a whole cluster, looked at every time, never dropped."""

import multiprocessing
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import count
from typing import Any

import psycopg
import pytest
from psycopg import sql

from hansard.database import migrations
from hansard.errors import ConfigurationError
from tests.support.logins import Login
from tests.support.pg_server import PostgresServer

_numbers = count(1)


def upgrade_together(url: str, role: str, barrier: threading.Barrier) -> None:
    barrier.wait(60)
    migrations.upgrade(url, role=role)


@pytest.fixture
def role() -> str:
    """A name that no role of this cluster has, and that nobody may put into SQL unquoted."""
    return f'it\'s a "role" %s {{x}} :y {next(_numbers)}'


@pytest.fixture
def new_url(pg_server: PostgresServer) -> Iterator[Callable[[], str]]:
    """Make empty databases."""
    made: list[str] = []

    def make() -> str:
        made.append(pg_server.clone())
        return made[-1]

    yield make
    for url in made:
        pg_server.assert_unused(url)
        pg_server.drop(url)


@pytest.fixture
def url(new_url: Callable[[], str]) -> str:
    return new_url()


def ask(url: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode(), values or None)
        return cursor.fetchall() if cursor.description else []


def say(url: str, statement: str, **names: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        fields = {field: sql.Identifier(name) for field, name in names.items()}
        connection.execute(sql.SQL(statement).format(**fields))


def attributes(url: str, role: str) -> list[tuple[Any, ...]]:
    return ask(url, "SELECT rolcanlogin, rolsuper, rolbypassrls, rolinherit FROM pg_roles WHERE rolname = %s", role)


def relations(url: str) -> list[tuple[Any, ...]]:
    return ask(url, "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace")


def test_is_made_without_a_login_and_bound_by_row_level_security(url, role):
    migrations.upgrade(url, role=role)
    assert attributes(url, role) == [(False, False, False, True)]
    assert migrations.check(url, role=role) == []


def test_is_taken_as_it_is_when_it_is_there(url, role):
    say(url, "CREATE ROLE {role} NOLOGIN NOINHERIT", role=role)
    migrations.upgrade(url, role=role)
    assert attributes(url, role) == [(False, False, False, False)]


def test_outlives_the_tables(url, role):
    migrations.upgrade(url, role=role)
    migrations.downgrade(url, "base")
    assert attributes(url, role) == [(False, False, False, True)]
    grants = "SELECT relname FROM pg_class, aclexplode(relacl) JOIN pg_roles r ON r.oid = grantee WHERE rolname = %s"
    assert ask(url, grants, role) == []


def test_serves_the_databases_of_a_whole_cluster(new_url, role):
    first, second = new_url(), new_url()
    for one in (first, second):
        migrations.upgrade(one, role=role)
    migrations.downgrade(first, "base")
    assert migrations.check(second, role=role) == []


def test_named_anew_is_told_what_it_lacks_and_with_which_sql(url, role):
    assert migrations.upgrade(url) == []
    told = migrations.upgrade(url, role=role)
    assert [one.partition("; run as the owner: ")[0] for one in told] == migrations.check(url, role=role) != []
    with psycopg.connect(url, autocommit=True) as connection:
        for one in told:
            connection.execute(one.partition("; run as the owner: ")[2].encode())
    assert migrations.upgrade(url, role=role) == migrations.check(url, role=role) == []


def test_is_made_once_when_two_databases_race(new_url, role):
    urls = [new_url() for _ in range(3)]
    processes = multiprocessing.get_context("spawn")
    with processes.Manager() as manager, ProcessPoolExecutor(len(urls), mp_context=processes) as pool:
        barrier = manager.Barrier(len(urls))
        for done in [pool.submit(upgrade_together, url, role, barrier) for url in urls]:
            done.result(90)
    assert [migrations.check(url, role=role) for url in urls] == [[]] * len(urls)


@pytest.mark.parametrize(
    "change, fault",
    [
        ("ALTER ROLE {role} LOGIN", "can log in"),
        ("ALTER ROLE {role} SUPERUSER", "is a superuser"),
        ("ALTER ROLE {role} BYPASSRLS", "bypasses row-level security"),
    ],
)
class TestIsRefused:
    def test_before_anything_is_touched(self, url, role, change, fault):
        say(url, "CREATE ROLE {role}", role=role)
        say(url, change, role=role)
        before = relations(url), attributes(url, role)
        with pytest.raises(ConfigurationError, match=fault) as caught:
            migrations.upgrade(url, role=role)
        assert (relations(url), attributes(url, role)) == before
        self.run_the_advice(url, str(caught.value))
        migrations.upgrade(url, role=role)

    def test_when_it_became_so_afterwards(self, url, role, change, fault):
        migrations.upgrade(url, role=role)
        say(url, change, role=role)
        with pytest.raises(ConfigurationError, match=fault):
            migrations.upgrade(url, role=role)

    @staticmethod
    def run_the_advice(url: str, told: str) -> None:
        ask(url, told.partition(":\n")[2])


@pytest.mark.parametrize("owned", ["task", "conversations"])
def test_is_refused_when_it_has_the_rights_of_an_owner(url, role, owned):
    migrations.upgrade(url, role=role)
    say(url, "ALTER TABLE {table} OWNER TO {role}", table=owned, role=role)
    with pytest.raises(ConfigurationError, match=f"owner of {owned}"):
        migrations.upgrade(url, role=role)


@pytest.mark.parametrize("name", ["", "none", "public", "pg_read_all_data", "x" * 64, "a\x00"], ids=ascii)
def test_cannot_have_a_name_that_no_role_has(url, name):
    with pytest.raises(ConfigurationError, match="cannot be called"):
        migrations.upgrade(url, role=name)
    assert relations(url) == []


class TestALoginThatMayNotMakeRoles:
    def test_is_told_what_an_administrator_must_run_and_nothing_is_changed(self, pg_server, url, role):
        login = Login(pg_server)
        own = login.owns(url)
        with pytest.raises(ConfigurationError, match="nothing was changed") as caught:
            migrations.upgrade(own, role=role)
        assert (relations(url), attributes(url, role)) == ([], [])
        TestIsRefused.run_the_advice(url, str(caught.value))
        migrations.upgrade(own, role=role)
        assert migrations.check(own, role=role) == []
        # An administrator is asked once, also for the role that searches.
        assert attributes(url, f"{role}_search") == [(False, False, False, True)]

    def test_needs_only_the_membership_where_the_role_stands(self, pg_server, url, role):
        for name in (role, f"{role}_search"):
            say(url, "CREATE ROLE {role} NOLOGIN", role=name)
        own = Login(pg_server).owns(url)
        with pytest.raises(ConfigurationError, match="GRANT") as caught:
            migrations.upgrade(own, role=role)
        assert "CREATE ROLE" not in str(caught.value)
        TestIsRefused.run_the_advice(url, str(caught.value))
        migrations.upgrade(own, role=role)


class TestALoginThatMayMakeRoles:
    def test_sets_everything_up_by_itself(self, pg_server, url, role):
        own = Login(pg_server, attributes="CREATEROLE").owns(url)
        migrations.upgrade(own, role=role)
        assert migrations.check(own, role=role) == []
        assert attributes(url, role) == [(False, False, False, True)]

    def test_does_not_inherit_the_role_where_that_can_be_said(self, pg_server, url, role):
        own = Login(pg_server, attributes="CREATEROLE").owns(url)
        migrations.upgrade(own, role=role)
        inherits = ask(own, "SELECT pg_has_role(%s, 'USAGE')", role)
        assert inherits == [(pg_server.binaries.major < 16,)]
        say(own, "SET ROLE {role}", role=role)
