"""Weigh what a message costs on disk: table, keys and indexes, and what each index for search adds.

`make bench ARGS='disk'`. The texts are prose of 400 characters, user ids are UUIDs as text, messages come in the order
in which people write them. A second database has user ids of eight characters: the difference is what the user's id in
every key costs.
"""

import argparse
from collections.abc import Sequence
from typing import Any

import psycopg

from benchmarks.filling import CHARACTERS, Shape, check, fill
from benchmarks.results import conditions, keep
from benchmarks.server import durable_postgres
from benchmarks.tables import table
from hansard.database import migrations, search_index
from hansard.database.search_postgres import PREFIX
from hansard.models.search import SearchSettings
from tests.support.pg_server import PostgresServer

MESSAGES = 100_000
MOST = 1.8
SHORT_ID = 8
# Of every table and index that holds users' conversations, in bytes; TOAST belongs to its table.
WEIGHT = """
    SELECT relname, CASE relkind WHEN 'i' THEN pg_relation_size(c.oid) ELSE pg_table_size(c.oid) END
    FROM pg_class c WHERE relkind IN ('r', 'i') AND relnamespace = current_schema()::regnamespace
        AND (relname IN ('conversations', 'messages') OR c.oid IN (
            SELECT indexrelid FROM pg_index WHERE indrelid IN ('conversations'::regclass, 'messages'::regclass)))
    ORDER BY 2 DESC
"""


async def main(arguments: Sequence[str]) -> None:
    """Fill, weigh, print; fail beyond what a message may cost."""
    parser = argparse.ArgumentParser(prog="disk", description=__doc__)
    parser.add_argument("--messages", type=int, default=MESSAGES)
    options = parser.parse_args(arguments)
    with durable_postgres() as server:
        document = conditions(server)
        document |= _weighed(server, options.messages)
    path = keep("disk", document, markdown(document), quick=options.messages != MESSAGES)
    print(markdown(document), f"\n\nWritten to {path}")
    assert document["ratio"] <= MOST, f"a message costs {document['ratio']:.2f} times its content"


def markdown(document: dict[str, Any]) -> str:
    """Return bytes per message, by relation."""
    content = document["content"]
    rows = [[name, f"{weight:.1f}", f"{weight / content:.2f}"] for name, weight in document["relations"].items()]
    rows.append(["all of these", f"{document['ratio'] * content:.1f}", f"{document['ratio']:.2f}"])
    searched = [[name, f"{weight:.1f}", f"{weight / content:.2f}"] for name, weight in document["search"].items()]
    return "\n\n".join(
        [
            f"Bytes per message of {CHARACTERS} characters ({content:.0f} bytes), {document['messages']:,} messages:",
            table(["table or index", "bytes", "times the content"], rows),
            "Each index for search, where it is switched on:",
            table(["index", "bytes", "times the content"], searched),
            _of_ids(document),
        ]
    )


def _of_ids(document: dict[str, Any]) -> str:
    return (
        f"With user ids of {SHORT_ID} characters in place of 36 it is {document['short_ids']:.1f} bytes: "
        f"the user's id in every key costs {document['id_cost']:.1f} bytes of a message."
    )


def _weighed(server: PostgresServer, messages: int) -> dict[str, Any]:
    shape = Shape(messages, users=max(2, messages // 2000), busiest=min(2000, messages // 20), longest=messages // 100)
    url = _filled(server, shape)
    weights = _weights(url, messages)
    short = _weights(_filled(server, shape, id_length=SHORT_ID), messages)
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT avg(octet_length(content))::float8 FROM messages").fetchone()
    assert found is not None
    whole = sum(weights.values())
    searched: dict[str, float] = {}
    for settings in (SearchSettings("words"), SearchSettings("words+substring")):
        assert search_index.apply(url, settings) == []
        searched |= {name: weight for name, weight in _weights(url, messages).items() if name.startswith(PREFIX)}
    return {
        "messages": messages,
        "content": found[0],
        "relations": weights,
        "ratio": whole / found[0],
        "most": MOST,
        "search": searched,
        "short_ids": sum(short.values()),
        "id_cost": (whole - sum(short.values())) * 36 / (36 - SHORT_ID),
    }


def _filled(server: PostgresServer, shape: Shape, *, id_length: int = 36) -> str:
    url = server.clone()
    migrations.upgrade(url)
    fill(url, shape, id_length=id_length)
    check(url)
    return url


def _weights(url: str, messages: int) -> dict[str, float]:
    with psycopg.connect(url) as connection:
        return {name: size / messages for name, size in connection.execute(WEIGHT.encode())}
