"""Attack: SQL of any kind as the runtime role, for somebody else or for nobody; and what no policy can stop.

Every statement runs as the service's do: in a transaction with `SET LOCAL ROLE` and `hansard.user_id`, under each kind
of login.
"""

import asyncio
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from psycopg import errors

from hansard.database import isolation_check, open_database
from hansard.models.task_models import TaskCreate
from hansard.store.sql import SqlStore
from tests.support.fortress import LOGINS, ROLE, Fortress, acting, rows_of, standing
from tests.support.logins import Login
from tests.support.observers import Observer, PostgresObserver
from tests.support.pg_server import PostgresServer
from tests.support.store_calls import prepare

TABLES = ["conversations", "messages", "turns", "turn_events", "idempotency_keys", "task"]
OURS = [table for table in TABLES if table != "task"]
ADA, EVE = "ada", "eve"

pytestmark = pytest.mark.parametrize("login", LOGINS, ids=[f"login: {login}" for login in LOGINS])


@pytest.fixture(scope="module")
def fortress(pg_server: PostgresServer) -> Iterator[Fortress]:
    """A database in which both users have rows in every table."""
    with standing(pg_server) as found:
        asyncio.run(fill(found.plain))
        with psycopg.connect(found.superuser) as connection:
            connection.execute(
                "INSERT INTO idempotency_keys (user_id, key, request, status, answer, created_at) "
                "SELECT id, 'key', '\\x00', 200, 'secret', now() FROM \"user\""
            )
            connection.execute(
                "INSERT INTO turn_events (user_id, turn_id, first_sequence, last_sequence, data, created_at) "
                "SELECT user_id, id, 5, 5, 'secret', now() FROM turns"
            )
            connection.commit()
            connection.autocommit = True
            connection.execute("ANALYZE")
        yield found


async def fill(url: str) -> None:
    database = await open_database(url)
    for user_id in (ADA, EVE):
        await prepare(SqlStore(database).for_user(user_id))
    await database.close()


@pytest.fixture(scope="module")
def onlooker(fortress: Fortress) -> Iterator[Observer]:
    with closing(PostgresObserver(fortress.superuser)) as observer:
        yield observer


@pytest.fixture
def eve(fortress: Fortress, login: str) -> Iterator[psycopg.Connection]:
    """A transaction of Eve's."""
    with acting(fortress.url(login), EVE) as connection:
        yield connection


@pytest.fixture(autouse=True)
def _ada_is_unharmed(onlooker: Observer) -> Iterator[None]:
    before = rows_of(onlooker, ADA)
    yield
    assert rows_of(onlooker, ADA) == before


def count(connection: psycopg.Connection, query: str) -> int:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])


def test_the_list_of_tables_is_complete(login):
    assert set(TABLES) == {*isolation_check.isolated_tables(), "task"}


def test_ada_has_rows_in_every_table(onlooker, login):
    assert all(rows_of(onlooker, ADA).values())


@pytest.mark.parametrize("table", TABLES)
class TestEve:
    def test_sees_her_own_rows_only(self, eve, onlooker, table):
        [(own,)] = onlooker.execute(f"SELECT count(*) FROM {table} WHERE user_id = ?", EVE)
        assert own > 0
        assert count(eve, f"SELECT count(*) FROM {table}") == own
        assert count(eve, f"SELECT count(*) FROM {table} WHERE user_id = 'ada'") == 0
        assert count(eve, f"SELECT count(*) FROM {table} a JOIN {table} b ON a.user_id <> b.user_id") == 0

    def test_cannot_make_a_condition_that_tells_of_other_rows_by_an_error(self, eve, table):
        count(eve, f"SELECT count(*) FROM {table} WHERE 1 / (CASE user_id WHEN 'ada' THEN 0 ELSE 1 END) = 1")

    def test_sees_no_statistics_of_their_values(self, eve, table):
        assert count(eve, f"SELECT count(*) FROM pg_stats WHERE tablename = '{table}'") == 0
        with pytest.raises(errors.InsufficientPrivilege):
            eve.execute("SELECT * FROM pg_statistic")

    def test_copies_her_own_rows_only(self, eve, table):
        with eve.cursor().copy(f"COPY {table} (user_id) TO STDOUT".encode()) as copied:
            assert {row[0] for row in copied.rows()} == {EVE}

    def test_locks_no_row_of_another_user(self, eve, table):
        assert eve.execute(f"SELECT 1 FROM {table} WHERE user_id = 'ada' FOR UPDATE".encode()).fetchall() == []

    @pytest.mark.parametrize("statement", ["UPDATE {} SET user_id = user_id", "DELETE FROM {}"])
    def test_changes_no_row_of_another_user(self, eve, onlooker, table, statement):
        [(own,)] = onlooker.execute(f"SELECT count(*) FROM {table} WHERE user_id = ?", EVE)
        assert eve.execute(f"{statement.format(table)} WHERE user_id = 'ada'".encode()).rowcount == 0
        assert eve.execute(statement.format(table).encode()).rowcount == own

    def test_gives_no_row_of_hers_to_another_user(self, eve, table):
        with pytest.raises(errors.InsufficientPrivilege, match="row-level security"):
            eve.execute(f"UPDATE {table} SET user_id = 'ada'".encode())

    def test_makes_no_row_for_another_user(self, eve, table):
        forged = f"""jsonb_populate_record(NULL::{table}, to_jsonb(one) || '{{"user_id": "ada"}}')"""
        with pytest.raises(errors.InsufficientPrivilege, match="row-level security"):
            eve.execute(f"INSERT INTO {table} SELECT ({forged}).* FROM {table} AS one LIMIT 1".encode())

    @pytest.mark.parametrize(
        "statement",
        [
            "TRUNCATE {} CASCADE",
            "DROP TABLE {} CASCADE",
            "ALTER TABLE {} DISABLE ROW LEVEL SECURITY",
            "ALTER TABLE {} NO FORCE ROW LEVEL SECURITY",
            "DROP POLICY hansard_own_rows ON {}",
            "ALTER POLICY hansard_own_rows ON {} USING (true)",
            "CREATE POLICY mine ON {} USING (true)",
            "CREATE RULE mine AS ON SELECT TO {} DO INSTEAD SELECT 1",
            "CREATE VIEW mine AS SELECT * FROM {}",
            "GRANT SELECT ON {} TO PUBLIC WITH GRANT OPTION",
        ],
    )
    def test_is_no_owner(self, eve, table, statement):
        if statement.startswith("GRANT"):
            # A warning and not an error: there is nothing that she could grant.
            eve.execute(statement.removesuffix(" WITH GRANT OPTION").format(table).encode())
            granted = "SELECT count(*) FROM pg_class, aclexplode(relacl) WHERE relname = '{}' AND grantee = 0"
            assert count(eve, granted.format(table)) == 0
            return
        with pytest.raises(errors.InsufficientPrivilege):
            eve.execute(statement.format(table).encode())

    def test_cannot_switch_row_level_security_off(self, eve, table):
        eve.execute("SET LOCAL row_security = off")
        with pytest.raises(errors.InsufficientPrivilege, match="row-level security"):
            eve.execute(f"SELECT * FROM {table}".encode())


class TestEveAndTheUsers:
    @pytest.mark.parametrize(
        "statement",
        [
            'SELECT * FROM "user"',
            'SELECT email FROM "user"',
            "UPDATE \"user\" SET email = 'eve@example.com'",
            'DELETE FROM "user"',
            "INSERT INTO \"user\" (id, created_at, hashed_password) VALUES ('x', now(), 'x')",
            "INSERT INTO \"user\" (id, created_at) VALUES ('x', now()) RETURNING email",
            'TRUNCATE "user" CASCADE',
        ],
    )
    def test_may_not(self, eve, statement):
        with pytest.raises(errors.InsufficientPrivilege):
            eve.execute(statement.encode())


class TestEvesForeignKeys:
    def test_do_not_tell_whether_another_users_conversation_exists(self, eve, onlooker):
        [(theirs,), *_] = onlooker.execute("SELECT id FROM conversations WHERE user_id = ?", ADA)
        [(missing,)] = onlooker.execute("SELECT gen_random_uuid()")
        told = []
        for conversation_id in (theirs, missing):
            eve.execute("SAVEPOINT before")
            with pytest.raises(errors.ForeignKeyViolation) as caught:
                eve.execute(
                    "INSERT INTO messages (user_id, conversation_id, position, kind, content, created_at) "
                    "VALUES ('eve', %s, 1, 'message', '', now())",
                    [conversation_id],
                )
            told.append(str(caught.value).replace(str(conversation_id), "…"))
            eve.execute("ROLLBACK TO before")
        assert told[0] == told[1]


class TestEvesSearch:
    CALL = (
        "SELECT count(*) FROM hansard_search('simple', ARRAY['=hi', '=hello'], '{}', true, %s, NULL, NULL, NULL, NULL, "
        "NULL, NULL, NULL, NULL, 100)"
    )

    def test_finds_nothing_in_another_users_conversation(self, eve, onlooker):
        for (conversation_id,) in onlooker.execute("SELECT id FROM conversations WHERE user_id = ?", ADA):
            assert eve.execute(self.CALL, [conversation_id]).fetchone() == (0,)

    def test_is_refused_to_nobody(self, fortress, login):
        for user_id in (None, ""):
            with (
                acting(fortress.url(login), user_id) as nobody,
                pytest.raises(errors.InsufficientPrivilege, match="needs a user"),
            ):
                nobody.execute(self.CALL, [None])


APPENDS = {
    "one item": "SELECT following FROM hansard_append(%s, %s, 'stolen', 'message', 'user', NULL, 'x', NULL, NULL, "
    "NULL)",
    "several": "SELECT following FROM hansard_append_all(%s, %s, 'stolen', '{message}', '{user}', '{null}', '{x}', "
    "'{null}', '{null}', '{null}')",
}


@pytest.mark.parametrize("call", APPENDS.values(), ids=APPENDS)
class TestEvesAppends:
    def test_go_to_her_own_conversations_alone(self, eve, onlooker, call):
        [(own,), *_] = onlooker.execute("SELECT id FROM conversations WHERE user_id = ?", EVE)
        [(theirs,), *_] = onlooker.execute("SELECT id FROM conversations WHERE user_id = ?", ADA)
        [(missing,)] = onlooker.execute("SELECT gen_random_uuid()")
        for user_id, conversation_id in ((ADA, theirs), (EVE, theirs), (ADA, own), (ADA, missing), (EVE, missing)):
            assert eve.execute(call, [user_id, conversation_id]).fetchone() == (None,)
        row = eve.execute(call, [EVE, own]).fetchone()
        assert row is not None
        assert row[0] > 1

    def test_reach_nobody_else_when_the_functions_forget_the_user(self, fortress, onlooker, login, call):
        [(theirs,), *_] = onlooker.execute("SELECT id FROM conversations WHERE user_id = ?", ADA)
        written = (
            "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname IN ('hansard_append', 'hansard_append_all')"
        )
        with psycopg.connect(fortress.superuser) as connection:
            for (function,) in connection.execute(written).fetchall():
                assert "c.user_id = me AND" in function
                connection.execute(function.replace("c.user_id = me AND", ""))
            connection.execute("SAVEPOINT before")
            # Whom no policy binds, they would serve.
            assert connection.execute(call, [ADA, theirs]).fetchone() != (None,)
            connection.execute("ROLLBACK TO before")
            connection.execute(psycopg.sql.SQL("SET LOCAL ROLE {}").format(psycopg.sql.Identifier(ROLE)))
            connection.execute("SELECT set_config('hansard.user_id', 'eve', true)")
            for user_id in (ADA, EVE):
                assert connection.execute(call, [user_id, theirs]).fetchone() == (None,)
            connection.rollback()

    def test_are_nothing_without_a_user(self, fortress, onlooker, login, call):
        [(theirs,), *_] = onlooker.execute("SELECT id FROM conversations WHERE user_id = ?", ADA)
        for user_id in (None, ""):
            with acting(fortress.url(login), user_id) as nobody:
                assert nobody.execute(call, [ADA, theirs]).fetchone() == (None,)


NOBODIES = {
    "an unset user": None,
    "an empty user id": "",
    "a blank": " ",
    "another case": "ADA",
    "a pattern": "%",
    "a quote": "ada' OR true --",
}


@pytest.mark.parametrize("nobody", NOBODIES.values(), ids=NOBODIES)
@pytest.mark.parametrize("table", TABLES)
def test_whoever_is_nobody_sees_and_changes_nothing(fortress, login, table, nobody):
    with acting(fortress.url(login), nobody) as connection:
        assert count(connection, f"SELECT count(*) FROM {table}") == 0
        assert connection.execute(f"UPDATE {table} SET user_id = user_id".encode()).rowcount == 0
        assert connection.execute(f"DELETE FROM {table}".encode()).rowcount == 0


@pytest.mark.parametrize("user_id", [None, ""], ids=["an unset user", "an empty user id"])
def test_nobody_makes_a_row_not_even_for_an_empty_user(fortress, login, user_id):
    with acting(fortress.url(login), user_id) as connection, pytest.raises(errors.InsufficientPrivilege):
        connection.execute(
            "INSERT INTO task (user_id, title, completed, created_at, updated_at) VALUES ('', 'x', false, now(), now())"
        )


def test_a_setting_that_was_reset_is_no_user(fortress, login):
    with acting(fortress.url(login), ADA) as connection:
        assert count(connection, "SELECT count(*) FROM messages") > 0
        connection.execute("RESET hansard.user_id")
        assert count(connection, "SELECT count(*) FROM messages") == 0


def has_no_rights_of_its_own(login, server):
    """Before PostgreSQL 16 a member inherits the rights of the runtime role, and is bound by its policies."""
    return login == "plain member" and server.binaries.major >= 16


class TestWithoutTheRuntimeRole:
    """Our own worst mistake: a statement outside of any unit of work."""

    def test_what_is_seen_depends_on_the_login(self, pg_server, fortress, login):
        with psycopg.connect(fortress.url(login)) as connection:
            for table in OURS:
                if login == "superuser":
                    assert count(connection, f"SELECT count(*) FROM {table}") > 0
                elif has_no_rights_of_its_own(login, pg_server):
                    with pytest.raises(errors.InsufficientPrivilege):
                        connection.execute(f"SELECT count(*) FROM {table}".encode())
                    connection.rollback()
                else:
                    assert count(connection, f"SELECT count(*) FROM {table}") == 0


class TestWhatRowLevelSecurityCannotStop:
    """Whoever runs SQL of their own choice under a privileged login. README and doctor say so; this shows it."""

    def test_any_login_may_name_another_user(self, fortress, login):
        with acting(fortress.url(login), EVE) as connection:
            connection.execute("SELECT set_config('hansard.user_id', 'ada', true)")
            assert count(connection, "SELECT count(*) FROM messages WHERE user_id = 'ada'") > 0

    def test_a_superuser_may_leave_the_role_and_see_everything(self, pg_server, fortress, login):
        with acting(fortress.url(login), EVE) as connection:
            connection.execute("RESET ROLE")
            if has_no_rights_of_its_own(login, pg_server):
                with pytest.raises(errors.InsufficientPrivilege):
                    connection.execute("SELECT * FROM messages")
                return
            seen = count(connection, "SELECT count(*) FROM messages WHERE user_id = 'ada'")
            assert (seen > 0) == (login == "superuser")

    def test_an_owner_may_switch_it_off(self, fortress, login):
        with acting(fortress.url(login), EVE) as connection:
            connection.execute("RESET ROLE")
            if login == "plain member":
                with pytest.raises(errors.InsufficientPrivilege):
                    connection.execute("ALTER TABLE messages DISABLE ROW LEVEL SECURITY")
                return
            connection.execute("ALTER TABLE messages DISABLE ROW LEVEL SECURITY")
            assert count(connection, "SELECT count(*) FROM messages WHERE user_id = 'ada'") > 0

    def test_a_login_that_bypasses_it_sees_everything(self, pg_server, fortress, login):
        bypassing = Login(pg_server, attributes="BYPASSRLS")
        with psycopg.connect(bypassing.may(fortress.superuser, "SELECT ON messages")) as connection:
            assert count(connection, "SELECT count(*) FROM messages WHERE user_id = 'ada'") > 0
        with psycopg.connect(fortress.superuser, autocommit=True) as connection:
            connection.execute(psycopg.sql.SQL("DROP OWNED BY {}").format(bypassing.identifier))


class TestTheApplicationsOwnPolicies:
    """Where ``task`` had row-level security before us, its policies let nobody of ours see more."""

    def test_do_not_widen_what_eve_sees(self, fortress, login):
        with psycopg.connect(fortress.superuser) as connection:
            connection.execute("CREATE POLICY theirs ON task USING (true) WITH CHECK (true)")
            connection.execute(psycopg.sql.SQL("SET LOCAL ROLE {}").format(psycopg.sql.Identifier(ROLE)))
            connection.execute("SELECT set_config('hansard.user_id', 'eve', true)")
            assert count(connection, "SELECT count(*) FROM task WHERE user_id <> 'eve'") == 0
            assert count(connection, "SELECT count(*) FROM task") > 0
            connection.rollback()


async def test_the_service_works_under_this_login(fortress, login):
    database = await open_database(fortress.url(login))
    user = SqlStore(database).for_user(f"works as {login}")
    await user.tasks.create(TaskCreate("x"))
    assert len((await user.tasks.list()).data) == 1
    await database.close()
