"""The functions that append on PostgreSQL do what the statements do that they stand for, by plans that stay good."""

import re
from uuid import UUID

import psycopg
import pytest

from hansard.database import migrations, open_database
from hansard.database.isolation import APPENDING
from hansard.errors import SchemaOutdated
from hansard.models.message import MessageCreate
from hansard.store.contract import NewItem
from hansard.store.sql import SqlStore
from hansard.utils.ids import mint
from tests.support.store_steps import numbered, says

ROLE = "hansard_app"
MESSAGES = (
    "SELECT position, kind, role, status, content, payload, client_id, public_id, m.created_at = last_message_at "
    "FROM messages m JOIN conversations c USING (user_id) WHERE c.id = conversation_id AND c.id = %s ORDER BY 1"
)
CONVERSATION = "SELECT title, title_source, next_position, message_count, revision FROM conversations WHERE id = %s"
SIZES = {"one": 1, "two": 2, "many": 20}


@pytest.fixture
def url(pg_server):
    pg_server.make_template("appending", migrations.upgrade)
    url = pg_server.clone("appending")
    yield url
    pg_server.drop(url)


@pytest.fixture
async def database(url):
    database = await open_database(url)
    yield database
    await database.close()


def query(url: str, statement: str, *values: object) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(statement.encode(), values).fetchall()


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("opening", [[], says("Buy milk", "Bought")], ids=["untitled", "titled"])
async def test_they_do_what_the_statements_do(url, database, monkeypatch, opening, size):
    call = {"type": "function_call", "name": "add", "arguments": "{}", "call_id": "call_1"}
    items: list[NewItem] = [MessageCreate(call, client_id="mine", public_id=mint()), *numbered(size - 1)]
    sent: list[str] = []
    database.on_statement = sent.append

    async def append(user_id: str) -> UUID:
        user = SqlStore(database).for_user(user_id)
        here = (await user.conversations.create(items=opening)).id
        sent.clear()
        stored = await user.items.append(here, items)
        assert stored == await user.items.last(here, size)
        return here

    by_function = await append("ada")
    assert [statement for statement in sent if "hansard_append" in statement]
    monkeypatch.setattr(database._backend, "functions", False)
    by_statements = await append("bob")
    assert not [statement for statement in sent if "hansard_append" in statement]
    for table in (MESSAGES, CONVERSATION):
        assert query(url, table, by_function) == query(url, table, by_statements)


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
async def test_their_plans_go_by_the_key_also_when_they_were_made_for_empty_tables(url, database, size):
    user = SqlStore(database).for_user("ada")
    here = (await user.conversations.create()).id
    plans: list[str] = []
    with psycopg.connect(url, autocommit=True) as connection:
        connection.add_notice_handler(lambda notice: plans.append(notice.message_primary or ""))
        connection.execute(f"SET ROLE {ROLE}")
        connection.execute("SET hansard.user_id = 'ada'")
        if size == 1:
            call = "SELECT hansard_append('ada', %s, NULL, 'message', 'user', NULL, 'x', NULL, NULL, NULL)"
        else:
            values = ["'message'::text", *["NULL::text"] * 2, "'x'::text", *["NULL::text"] * 2, "NULL::bytea"]
            columns = ", ".join(f"array_fill({one}, ARRAY[{size}])" for one in values)
            call = f"SELECT hansard_append_all('ada', %s, NULL, {columns})"
        for _ in range(10):  # the server keeps a plan after the fifth
            connection.execute(call.encode(), [here])
        connection.execute("RESET ROLE")
        connection.execute("SET hansard.user_id = 'ada'")
        connection.execute(
            "INSERT INTO conversations (user_id, id, source, listed, next_position, message_count, revision, "
            "created_at, updated_at, last_message_at) "
            "SELECT 'ada', gen_random_uuid(), '', true, 1, 0, 1, now(), now(), now() FROM generate_series(1, 3000)"
        )
        connection.execute("ANALYZE conversations")
        for setting in ("log_min_duration = 0", "log_nested_statements = on", "log_level = 'notice'"):
            connection.execute("LOAD 'auto_explain'")
            connection.execute(f"SET auto_explain.{setting}".encode())
        connection.execute("SET client_min_messages = 'notice'")
        connection.execute(f"SET ROLE {ROLE}")
        plans.clear()
        connection.execute(call.encode(), [here])
    reserving = next(plan for plan in plans if "Update on conversations" in plan)
    assert re.search(r"Index Scan using pk_conversations on conversations", reserving), reserving
    assert not [plan for plan in plans if "Seq Scan" in plan]


async def test_a_database_without_them_says_what_to_do(url, database):
    user = SqlStore(database).for_user("ada")
    here = (await user.conversations.create()).id
    migrations.downgrade(url, "0008")
    for size in SIZES.values():
        with pytest.raises(SchemaOutdated, match="run: hansard db upgrade"):
            await user.items.append(here, numbered(size))
    migrations.upgrade(url)
    assert len(await user.items.append(here, numbered(2))) == 2


@pytest.mark.parametrize("function", APPENDING)
def test_whoever_is_neither_owner_nor_the_runtime_role_may_not_call_them(url, function):
    allowed = "SELECT grantee::regrole::text FROM pg_proc, aclexplode(proacl) WHERE oid = %s::regprocedure"
    [(owner,)] = query(url, "SELECT current_user")
    assert {grantee for (grantee,) in query(url, allowed, function)} == {owner, ROLE}


@pytest.mark.parametrize("function", APPENDING)
@pytest.mark.parametrize(
    "harm, told",
    [
        ("ALTER FUNCTION {} SECURITY DEFINER", "the function runs as its owner"),
        (f"REVOKE EXECUTE ON FUNCTION {{}} FROM {ROLE}", "may not call the function"),
    ],
    ids=["as its owner", "not callable"],
)
def test_what_is_wrong_with_them_is_told(url, function, harm, told):
    assert migrations.check(url) == []
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(harm.format(function).encode())
    [problem] = migrations.check(url)
    assert problem.startswith(function.partition("(")[0])
    assert told in problem
