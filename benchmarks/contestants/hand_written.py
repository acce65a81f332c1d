"""Write by hand, for Hansard's own tables and with its guarantees, what the library does.

Every way sets the runtime role and the user for the transaction alone, reserves the positions on the conversation's
row, inserts under row-level security, and commits before it answers. They differ in how the statements travel:

* `pipeline`: psycopg's pipeline, an explicit transaction, one round trip;
* `function`: a PL/pgSQL function through asyncpg, which commits implicitly, and whose plans the server keeps even when
  the client prepares nothing;
* `transaction`: one statement after the other through asyncpg, as one writes it at first.

`python -m … WAY [prepare]`
"""

import sys
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import psycopg
from psycopg_pool import AsyncConnectionPool

import hansard
from benchmarks.contestants.plain_tables import CONNECTIONS, Connections
from benchmarks.contestants.worker import Contestant, Said, serve
from hansard.database.roles import DEFAULT_ROLE

SCOPE = "SELECT set_config('role', $1, true), set_config('hansard.user_id', $2, true)"
BEGIN = """
INSERT INTO conversations (user_id, id, source, listed, next_position, message_count, revision,
    created_at, updated_at, last_message_at)
VALUES ($1, $2, '', true, 1, 0, 1, statement_timestamp(), statement_timestamp(), statement_timestamp())
"""
RESERVE = """
UPDATE conversations SET
    title = CASE WHEN title_source IS NULL AND $4::text IS NOT NULL THEN $4::text ELSE title END,
    title_source = CASE WHEN title_source IS NULL AND $4::text IS NOT NULL THEN 'auto' ELSE title_source END,
    next_position = next_position + $3::bigint, message_count = message_count + $3::bigint, revision = revision + 1,
    updated_at = clock_timestamp(), last_message_at = greatest(last_message_at, clock_timestamp())
WHERE user_id = $1 AND id = $2
RETURNING next_position, last_message_at
"""
INSERT = """
INSERT INTO messages (user_id, conversation_id, position, kind, role, content, created_at)
SELECT user_id, id, next_position - 1, 'message', $3::text, $4::text, last_message_at
FROM conversations WHERE user_id = $1 AND id = $2
"""
INSERT_ALL = """
INSERT INTO messages (user_id, conversation_id, position, kind, role, content, created_at)
SELECT user_id, id, next_position - $3::bigint + place - 1, 'message', brought.role, brought.content, last_message_at
FROM conversations, unnest($4::text[], $5::text[]) WITH ORDINALITY AS brought (role, content, place)
WHERE user_id = $1 AND id = $2
"""
ITEM = "position, kind, role, status, content, payload, client_id, public_id, created_at"
LAST = f"""
SELECT {ITEM} FROM messages WHERE user_id = $1 AND conversation_id = $2 ORDER BY position DESC LIMIT $3
"""  # noqa: S608 - the columns are ours
CONVERSATION = (
    "id, source, external_id, title, title_source, metadata, message_count, revision, created_at, updated_at, "
    "last_message_at, archived_at"
)
LIST = f"""
SELECT {CONVERSATION} FROM conversations WHERE user_id = $1 AND listed AND archived_at IS NULL
ORDER BY last_message_at DESC, id DESC LIMIT $2
"""  # noqa: S608 - the columns are ours
EVERYTHING = 1_000_000
TITLE = 60


class HandWritten(Contestant):
    """Read and write Hansard's tables; how the statements travel is for the subclass to say."""

    async def open(self, place: str) -> None:
        async with hansard.open_store(place, migrate=True) as store:
            for user in ("writer", "lister"):
                await store.for_user(user).conversations.create()

    async def begin(self, user: str) -> UUID:
        conversation = uuid4()
        await self._run(user, [(BEGIN, (user, conversation))])
        return conversation

    async def append(self, user: str, conversation: UUID, said: Sequence[Said]) -> None:
        title = next((text[:TITLE] for role, text in said if role == "user"), None)
        reserve = (RESERVE, (user, conversation, len(said), title))
        if len(said) == 1:
            await self._run(user, [reserve, (INSERT, (user, conversation, *said[0]))])
        else:
            columns = map(list, zip(*said, strict=True))
            await self._run(user, [reserve, (INSERT_ALL, (user, conversation, len(said), *columns))])

    async def load(self, user: str, conversation: UUID) -> Sequence[Any]:
        return await self.last(user, conversation, EVERYTHING)

    async def last(self, user: str, conversation: UUID, limit: int) -> Sequence[Any]:
        return (await self._rows(user, LAST, (user, conversation, limit)))[::-1]

    async def list(self, user: str, limit: int) -> Sequence[Any]:
        return await self._rows(user, LIST, (user, limit))

    def text(self, message: Any) -> str:
        return str(message[4])

    @abstractmethod
    async def _run(self, user: str, statements: Sequence[tuple[str, Sequence[Any]]]) -> None:
        """Run statements in one committed transaction."""

    @abstractmethod
    async def _rows(self, user: str, statement: str, values: Sequence[Any]) -> Sequence[Any]:
        """Return the rows of one statement."""


class Pipeline(HandWritten):
    """Use psycopg's pipeline: everything leaves in one flush."""

    packages = ("psycopg", "psycopg-pool")

    def __init__(self, *, prepare: bool) -> None:
        self._prepare = prepare
        self._pool: AsyncConnectionPool[psycopg.AsyncConnection[Any]]

    async def open(self, place: str) -> None:
        await super().open(place)
        settings = {
            "autocommit": True,
            "prepare_threshold": 0 if self._prepare else None,
            # Takes the parameters as the server counts them ($1), so nothing is rewritten at every call.
            "cursor_factory": psycopg.AsyncRawCursor,
        }
        self._pool = AsyncConnectionPool(place, kwargs=settings, min_size=CONNECTIONS, max_size=CONNECTIONS, open=False)
        await self._pool.open(wait=True)

    async def close(self) -> None:
        await self._pool.close()

    async def _run(self, user: str, statements: Sequence[tuple[str, Sequence[Any]]]) -> None:
        async with self._pool.connection() as connection, connection.pipeline():
            await connection.execute("BEGIN")
            await connection.execute(SCOPE, (DEFAULT_ROLE, user))
            for statement, values in statements:
                await connection.execute(statement, values)
            await connection.execute("COMMIT")

    async def _rows(self, user: str, statement: str, values: Sequence[Any]) -> Sequence[Any]:
        async with self._pool.connection() as connection:
            async with connection.pipeline():
                await connection.execute("BEGIN READ ONLY")
                await connection.execute(SCOPE, (DEFAULT_ROLE, user))
                found = await connection.execute(statement, values, binary=True)
                await connection.execute("COMMIT")
            rows: Sequence[Any] = await found.fetchall()
        return rows


class Transaction(HandWritten):
    """Send one statement after the other through asyncpg and wait for each."""

    packages = ("asyncpg",)

    def __init__(self, *, prepare: bool) -> None:
        self._prepare = prepare
        self._connections = Connections()

    async def open(self, place: str) -> None:
        await super().open(place)
        await self._connections.open(place, prepare=self._prepare)

    async def close(self) -> None:
        await self._connections.close()

    @asynccontextmanager
    async def _scoped(self, user: str) -> AsyncIterator["asyncpg.Connection[Any]"]:
        async with self._connections.lent() as connection, connection.transaction():
            await connection.execute(SCOPE, DEFAULT_ROLE, user)
            yield connection

    async def _run(self, user: str, statements: Sequence[tuple[str, Sequence[Any]]]) -> None:
        async with self._scoped(user) as connection:
            for statement, values in statements:
                await connection.execute(statement, *values)

    async def _rows(self, user: str, statement: str, values: Sequence[Any]) -> Sequence[Any]:
        async with self._scoped(user) as connection:
            rows: Sequence[Any] = await connection.fetch(statement, *values)
            return rows


class Function(Transaction):
    """Call functions that do it all in the server; the call commits by itself."""

    async def open(self, place: str) -> None:
        await super().open(place)
        async with self._connections.lent() as connection:
            await connection.execute(FUNCTIONS)

    async def append(self, user: str, conversation: UUID, said: Sequence[Said]) -> None:
        roles, contents = map(list, zip(*said, strict=True))
        async with self._connections.lent() as connection:
            if len(said) == 1:
                call = "SELECT bench_append($1, $2, $3, $4, $5, $6)"
                await connection.fetchval(call, DEFAULT_ROLE, user, conversation, contents[0][:TITLE], *said[0])
            else:
                call = "SELECT bench_append_all($1, $2, $3, $4, $5, $6)"
                await connection.fetchval(call, DEFAULT_ROLE, user, conversation, contents[0][:TITLE], roles, contents)

    async def last(self, user: str, conversation: UUID, limit: int) -> Sequence[Any]:
        async with self._connections.lent() as connection:
            call = "SELECT * FROM bench_last($1, $2, $3, $4)"
            rows: Sequence[Any] = await connection.fetch(call, DEFAULT_ROLE, user, conversation, limit)
        return rows[::-1]

    async def list(self, user: str, limit: int) -> Sequence[Any]:
        async with self._connections.lent() as connection:
            call = "SELECT * FROM bench_list($1, $2, $3)"
            rows: Sequence[Any] = await connection.fetch(call, DEFAULT_ROLE, user, limit)
        return rows


def _positional(statement: str, **names: str) -> str:
    """Return a statement of ours with the function's arguments in the place of its parameters."""
    for place, name in names.items():
        statement = statement.replace(f"${place[1:]}", name)
    return statement.strip()


_RESERVE = _positional(RESERVE, p1="the_user", p2="conversation", p3="many", p4="the_title")
_RETURNS_ITEM = (
    "item_position bigint, kind varchar, role varchar, status varchar, content text, payload text, client_id varchar, "
    "public_id bytea, created_at timestamptz"
)
_RETURNS_CONVERSATION = (
    "the_id uuid, source varchar, external_id varchar, title varchar, title_source varchar, metadata text, "
    "message_count bigint, revision bigint, created_at timestamptz, updated_at timestamptz, "
    "last_message_at timestamptz, archived_at timestamptz"
)
_SCOPE = "PERFORM set_config('role', the_role, true), set_config('hansard.user_id', the_user, true);"
FUNCTIONS = f"""
CREATE OR REPLACE FUNCTION bench_append(
    the_role text, the_user text, conversation uuid, the_title text, said_by text, said text) RETURNS bigint
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE following bigint; stamp timestamptz; many bigint := 1;
BEGIN
    {_SCOPE}
    {_RESERVE} INTO following, stamp;
    INSERT INTO messages (user_id, conversation_id, position, kind, role, content, created_at)
    VALUES (the_user, conversation, following - 1, 'message', said_by, said, stamp);
    RETURN following - 1;
END $$;

CREATE OR REPLACE FUNCTION bench_append_all(
    the_role text, the_user text, conversation uuid, the_title text, roles text[], contents text[]) RETURNS bigint
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE following bigint; stamp timestamptz; many bigint := cardinality(roles);
BEGIN
    {_SCOPE}
    {_RESERVE} INTO following, stamp;
    INSERT INTO messages (user_id, conversation_id, position, kind, role, content, created_at)
    SELECT the_user, conversation, following - many + place - 1, 'message', brought.role, brought.content, stamp
    FROM unnest(roles, contents) WITH ORDINALITY AS brought (role, content, place);
    RETURN following - 1;
END $$;

CREATE OR REPLACE FUNCTION bench_last(the_role text, the_user text, conversation uuid, most int)
RETURNS TABLE ({_RETURNS_ITEM}) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    {_SCOPE}
    RETURN QUERY {_positional(LAST, p1="the_user", p2="conversation", p3="most")};
END $$;

CREATE OR REPLACE FUNCTION bench_list(the_role text, the_user text, most int)
RETURNS TABLE ({_RETURNS_CONVERSATION}) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    {_SCOPE}
    RETURN QUERY {_positional(LIST, p1="the_user", p2="most")};
END $$;
"""  # noqa: S608 - the statements are ours
WAYS: dict[str, Callable[..., Contestant]] = {"pipeline": Pipeline, "transaction": Transaction, "function": Function}

if __name__ == "__main__":
    way, *more = sys.argv[1:]
    serve(WAYS[way](prepare="prepare" in more))
