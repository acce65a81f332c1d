"""Instants come back in UTC, whatever time zone the server is configured for."""

from datetime import datetime, timedelta, timezone

import psycopg

from hansard.database import open_database
from hansard.store.sql import SqlStore
from tests.support.store_steps import says


async def test_instants_are_in_utc_where_the_server_thinks_in_another_time_zone(pg_url):
    with psycopg.connect(pg_url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE \"{connection.info.dbname}\" SET timezone = 'America/St_Johns'")
    database = await open_database(pg_url)
    user = SqlStore(database).for_user("traveller")
    made = await user.conversations.create(items=says("one", "two"))
    instants = [item.created_at for item in await user.items.last(made.id, 2)]
    [listed] = (await user.conversations.list()).data
    for instant in (*instants, listed.created_at, listed.last_message_at):
        assert instant.tzinfo is timezone.utc
        assert abs(datetime.now(timezone.utc) - instant) < timedelta(minutes=5)
    assert listed.archived_at is None
    await database.close()
