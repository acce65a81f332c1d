"""Search a PostgreSQL database from outside of any event loop, and look at its indexes."""

import asyncio
from contextlib import closing

import psycopg
from psycopg.rows import scalar_row

from hansard.database import open_database
from hansard.models.search import SearchSettings
from hansard.store.sql import SqlStore
from tests.support.store_steps import says


def connect(url):
    return closing(psycopg.connect(url, autocommit=True))


def indexes(url):
    with connect(url) as connection:
        cursor = connection.cursor(row_factory=scalar_row)
        cursor.execute("SELECT indexname FROM pg_indexes WHERE indexname LIKE 'ix_messages_search%' ORDER BY 1")
        return [name.removeprefix("ix_messages_search_") for name in cursor]


def write(url, **messages):
    """Store one message for each user."""

    async def store():
        database = await open_database(url)
        for user_id, text in messages.items():
            await SqlStore(database).for_user(user_id).conversations.create(items=says(text))
        await database.close()

    asyncio.run(store())


def find(url, user_id, query, **settings):
    """Return the snippets of what a user finds, with matches in brackets."""

    async def search():
        database = await open_database(url)
        store = SqlStore(database, search=SearchSettings(**settings))
        hits = (await store.for_user(user_id).search.messages(query)).data
        await database.close()
        return ["".join(f"[{one.text}]" if one.match else one.text for one in hit.snippet) for hit in hits]

    return asyncio.run(search())
