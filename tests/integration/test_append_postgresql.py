"""The functions that append on PostgreSQL do what the statements do that they stand for, by plans that stay good."""

import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import psycopg
import pytest
from alembic.script import ScriptDirectory
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.sql.dml import Insert, Update

from hansard.database import migrations, open_database
from hansard.database.isolation import APPENDING
from hansard.database.standing import SCRIPTS
from hansard.errors import SchemaOutdated
from hansard.models.message import MessageCreate
from hansard.store.contract import NewItem
from hansard.store.sql import SqlStore
from hansard.store.statements import conversations, items
from hansard.utils.ids import mint
from tests.support.store_steps import numbered, says

ROLE = "hansard_app"
MESSAGES = (
    "SELECT position, kind, role, status, content, payload, client_id, public_id, m.created_at = last_message_at "
    "FROM messages m JOIN conversations c USING (user_id) WHERE c.id = conversation_id AND c.id = %s ORDER BY 1"
)
CONVERSATION = "SELECT title, title_source, next_position, message_count, revision FROM conversations WHERE id = %s"
SIZES = {"one": 1, "two": 2, "many": 20}
# What the functions call the statements' parameters, and the columns that they have from the row just reserved.
ARGUMENTS = {"user_id": "me", "conversation_id": "conversation", "count": "many"}
ONE = {"count": "1"}
SEVERAL = {name: f"{name}es" if name == "status" else f"{name}s" for name in items.BROUGHT}
RESERVED = {"user_id": "me", "id": "conversation", "next_position": "following", "last_message_at": "stamp"}


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


def spelled(statement: Insert | Update, names: Mapping[str, str]) -> str:
    """Write a statement as the body of a function has it."""
    compiled = statement.compile(dialect=PGDialect(paramstyle="named"))
    constants = {name: repr(value) for name, value in compiled.params.items() if value is not None}
    known = {**ARGUMENTS, **constants, **names}
    return re.sub(r"(?<!:):(\w+)(::\w+)?", lambda found: known.get(found[1], found[1]), str(compiled))


def reserving() -> str:
    unasked = " AND (expected_revision IS NULL OR conversations.revision = expected_revision)"
    found = spelled(conversations.RESERVE, {})
    assert unasked in found
    return (
        found.replace(unasked, "")
        .replace("conversations.", "c.")
        .replace("conversations SET", "conversations AS c SET")
    )


def inserting(statement: Insert, names: Mapping[str, str]) -> str:
    found = re.sub(r"conversations\.(\w+)", lambda column: RESERVED[column[1]], spelled(statement, names))
    found = re.sub(r" AS anon_\d+| \+ offset", "", found.partition(" \nWHERE")[0])
    return found.replace("FROM conversations, ", "FROM ").removesuffix("FROM conversations")


def plain(sql: str) -> str:
    return re.sub(r"[\s()]", "", sql)


@pytest.mark.parametrize(
    "function, insert",
    [("ONE", inserting(items.INSERT_ROW, ONE)), ("SEVERAL", inserting(items.INSERT_ARRAYS, SEVERAL))],
    ids=["one", "several"],
)
def test_they_say_what_the_statements_say(function, insert):
    """A statement that changes needs functions of a new name; these stay as they were made."""
    revision: Any = ScriptDirectory(str(SCRIPTS)).get_revision("0009")
    body = getattr(revision.module, function).replace("{schema}.", "").replace("VALUES (", "SELECT ")
    assert plain(reserving()) in plain(body)
    assert f"{plain(insert)};" in plain(body)


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("opening", [[], says("Buy milk", "Bought")], ids=["untitled", "titled"])
async def test_they_do_what_the_statements_do(url, database, monkeypatch, opening, size):
    call = {"type": "function_call", "name": "add", "arguments": "{}", "call_id": "call_1"}
    said: list[NewItem] = [MessageCreate(call, client_id="mine", public_id=mint()), *numbered(size - 1)]
    sent: list[str] = []
    database.on_statement = sent.append

    async def append(user_id: str) -> UUID:
        user = SqlStore(database).for_user(user_id)
        here = (await user.conversations.create(items=opening)).id
        sent.clear()
        stored = await user.items.append(here, said)
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
async def test_the_plans_that_are_kept_go_by_the_key_although_they_were_made_for_small_tables(url, database, size):
    here = (await SqlStore(database).for_user("ada").conversations.create()).id
    if size == 1:
        call = "SELECT hansard_append('ada', %s, NULL, 'message', 'user', NULL, 'x', NULL, NULL, NULL)"
    else:
        values = ["'message'::text", *["NULL::text"] * 2, "'x'::text", *["NULL::text"] * 2, "NULL::bytea"]
        columns = ", ".join(f"array_fill({one}, ARRAY[{size}])" for one in values)
        call = f"SELECT hansard_append_all('ada', %s, NULL, {columns})"
    plans: list[str] = []
    with psycopg.connect(url, autocommit=True) as connection:
        connection.add_notice_handler(lambda notice: plans.append(notice.message_primary or ""))
        connection.execute("LOAD 'auto_explain'")
        for setting in ("log_min_duration = 0", "log_nested_statements = on", "log_level = 'notice'"):
            connection.execute(f"SET auto_explain.{setting}".encode())
        connection.execute("SET client_min_messages = 'notice'")
        # The statistics of one row on one page, as autovacuum finds it in a table that has just begun to fill.
        connection.execute('ANALYZE conversations, "user"')
        connection.execute(f"SET ROLE {ROLE}")
        connection.execute("SET hansard.user_id = 'ada'")
        for _ in range(10):
            plans.clear()
            connection.execute(call.encode(), [here])
    [plan] = [plan for plan in plans if "Update on conversations" in plan]
    # With the parameter in it, it is the plan that the server keeps, and no longer one for this user alone.
    [condition] = re.findall(r"Index Scan using pk_conversations on conversations.*\n\s+Index Cond: (.*)", plan)
    assert re.search(r"\(user_id\)::text = \$\d+", condition)
    assert re.search(r"id = \$\d+", condition)
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
        (f"REVOKE EXECUTE ON FUNCTION {{}} FROM {ROLE}", "the role hansard_app may not call the function"),
        ("GRANT EXECUTE ON FUNCTION {} TO PUBLIC", "everybody may call the function"),
    ],
    ids=["as its owner", "not callable", "open to everybody"],
)
def test_what_is_wrong_with_them_is_told(url, function, harm, told):
    assert migrations.check(url) == []
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(harm.format(function).encode())
    [problem] = migrations.check(url)
    assert problem.startswith(function.partition("(")[0])
    assert told in problem
