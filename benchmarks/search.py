"""Search the history of one user among many, on PostgreSQL under row-level security: how long, by which plan.

`python -m benchmarks.search OWN ALL [MODE]` sets how many messages the user has, how many there are, and what is
indexed. Texts have Zipf's distribution of words, so there are words for every number of finds.
"""

import asyncio
import itertools
import random
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import psycopg

from benchmarks.tables import conditions, table
from hansard.database import migrations, open_database, search_index
from hansard.models.search import SearchMode, SearchSettings
from hansard.store.contract import UserStore
from hansard.store.sql import SqlStore
from tests.support.pg_server import running_postgres

OWN, ALL = 100_000, 1_000_000
ROUNDS = 15
OTHERS = 99
IN_A_CONVERSATION = 200
VOCABULARY = 30_000
DIFFERENT_TEXTS = 20_000
CALL = (
    "SELECT * FROM hansard_search('simple', %s, '{}', false, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 21)"
)
EXPLAINED = (
    "LOAD 'auto_explain'",
    "SET auto_explain.log_min_duration = 0",
    "SET auto_explain.log_analyze = on",
    "SET auto_explain.log_nested_statements = on",
    "SET auto_explain.log_level = 'notice'",
    "SET ROLE hansard_app",
    "SET hansard.user_id = 'user-0'",
)


class Asked(NamedTuple):
    """Hold a query and what it is an example of."""

    name: str
    query: str


async def main(own: int = OWN, everything: int = ALL, *, mode: SearchMode = "words") -> None:
    """Load, index, search, and print tables and a plan."""
    rng = random.Random(7)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(4, 10))) for _ in range(VOCABULARY)]
    with running_postgres(durable=True, settings={"shared_buffers": "512MB", "max_wal_size": "4GB"}) as server:
        url = server.clone()
        migrations.upgrade(url)
        began = time.perf_counter()
        _load(url, own, everything, words, rng)
        loaded = time.perf_counter()
        assert search_index.apply(url, SearchSettings(mode)) == []
        indexed = time.perf_counter()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
        print(conditions(str(server.binaries.major)))
        print(f"\n{own:,} messages of one user among {everything:,}; loaded in {loaded - began:.0f} s, ", end="")
        print(f"indexed ({mode}) in {indexed - loaded:.0f} s.\n")
        print(table(["relation", "MB"], _sizes(url)))
        database = await open_database(url)
        try:
            user = SqlStore(database, search=SearchSettings(mode)).for_user("user-0")
            print(
                "\n"
                + table(
                    ["query", "finds", "median ms", "slowest ms", "server's CPU ms"],
                    [await _timed(user, one, url) for one in _asked(words)],
                )
            )
        finally:
            await database.close()
        print("\nThe plan, for a word in few messages:\n\n" + _plan(url, words[5000]))


def _asked(words: list[str]) -> Iterator[Asked]:
    yield Asked("a word nearly everywhere", words[0])
    yield Asked("a frequent word", words[50])
    yield Asked("a usual word", words[1000])
    yield Asked("a rare word", words[20_000])
    yield Asked("no such word", "nosuchword")
    yield Asked("two frequent words", f"{words[50]} {words[70]}")
    yield Asked("a phrase of frequent words", f'"{words[5]} {words[7]}"')
    yield Asked("a beginning", f"{words[500][:3]}*")
    yield Asked("a word without another", f"{words[100]} -{words[0]}")


async def _timed(user: UserStore, asked: Asked, url: str) -> list[object]:
    taken = []
    found = await user.search.messages(asked.query, limit=1000)
    worked = _server_milliseconds(url)
    for _ in range(ROUNDS):
        began = time.perf_counter()
        await user.search.messages(asked.query)
        taken.append((time.perf_counter() - began) * 1000)
    worked = (_server_milliseconds(url) - worked) / ROUNDS
    count = f"{len(found.data)}{'+' if found.has_more else ''}"
    return [asked.name, count, f"{statistics.median(taken):.1f}", f"{max(taken):.1f}", f"{worked:.1f}"]


def _server_milliseconds(url: str) -> float:
    """Return how long the sessions of the database have been on a processor: waiting for one is not counted."""
    query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with psycopg.connect(url) as connection:
        sessions = [pid for (pid,) in connection.execute(query)]
    paths = [path for pid in sessions if (path := Path(f"/proc/{pid}/schedstat")).exists()]
    return sum(int(path.read_text().split()[0]) for path in paths) / 1e6


def _load(url: str, own: int, everything: int, words: list[str], rng: random.Random) -> None:
    weights = list(itertools.accumulate(1 / (rank + 3) for rank in range(len(words))))
    texts = [" ".join(rng.choices(words, cum_weights=weights, k=rng.randint(10, 120))) for _ in range(DIFFERENT_TEXTS)]
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        for number in range(OTHERS + 1):
            count = own if number == 0 else (everything - own) // OTHERS
            user_id = f"user-{number}"
            cursor.execute('INSERT INTO "user" (id, created_at) VALUES (%s, now())', [user_id])
            ids = [UUID(int=rng.getrandbits(128)) for _ in range(max(1, count // IN_A_CONVERSATION))]
            cursor.executemany(
                "INSERT INTO conversations (user_id, id, source, listed, next_position, message_count, revision, "
                "created_at, updated_at, last_message_at) VALUES (%s, %s, '', true, %s, %s, 1, now(), now(), now())",
                [(user_id, one, IN_A_CONVERSATION + 1, IN_A_CONVERSATION) for one in ids],
            )
            columns = "user_id, conversation_id, position, kind, role, status, content, created_at"
            with cursor.copy(f"COPY messages ({columns}) FROM STDIN") as copy:
                for one, position in itertools.product(ids, range(1, IN_A_CONVERSATION + 1)):
                    at = f"2026-01-{1 + position % 28:02d} {rng.randrange(24):02d}:{rng.randrange(60):02d}:00Z"
                    role = "user" if position % 2 else "assistant"
                    copy.write_row((user_id, one, position, "message", role, "completed", rng.choice(texts), at))


def _sizes(url: str) -> list[list[object]]:
    query = (
        "SELECT relname, round(pg_relation_size(oid) / 1e6) FROM pg_class "
        "WHERE relname = 'messages' OR relname = 'pk_messages' OR relname LIKE 'ix_messages_search%' ORDER BY relname"
    )
    with psycopg.connect(url) as connection:
        return [[name, str(size)] for name, size in connection.execute(query)]


def _plan(url: str, word: str) -> str:
    told: list[str] = []
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in EXPLAINED:
            connection.execute(statement.encode())
        connection.add_notice_handler(lambda notice: told.append(notice.message_primary or ""))
        connection.execute(CALL.encode(), [[f"={word}"]])
    [plan] = [one for one in told if "WITH newest AS" in one]
    return plan[plan.rindex("\n", 0, plan.index("(cost=")) + 1 :]


if __name__ == "__main__":
    arguments = dict(enumerate(sys.argv[1:]))
    chosen: SearchMode = "words+substring" if arguments.get(2) == "words+substring" else "words"
    asyncio.run(main(int(arguments.get(0, OWN)), int(arguments.get(1, ALL)), mode=chosen))
