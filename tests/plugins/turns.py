"""Fixtures that run turns here and, as far as those can tell, in another process."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from hansard.database import open_database
from hansard.services.turns import Turns
from hansard.store.contract import UserStore
from hansard.store.sql import SqlStore
from tests.support.agents import Prompted, Scripted, echo
from tests.support.turns import turns_with


@pytest.fixture
def agent() -> Prompted:
    return Prompted()


@pytest_asyncio.fixture(loop_scope="module")
async def turns(store: SqlStore, agent: Prompted) -> AsyncIterator[Turns]:
    """Who runs turns here."""
    made = turns_with(agent)
    yield made
    agent.say(None)
    await made.aclose(grace_seconds=0)


@pytest_asyncio.fixture(loop_scope="module")
async def elsewhere(store: SqlStore, user: UserStore, database_url: str) -> AsyncIterator[tuple[Turns, UserStore]]:
    """Another process, as far as the first can tell: with turns and a database of its own."""
    database = await open_database(database_url)
    other = turns_with(Scripted(echo))
    yield other, SqlStore(database).for_user(user.user_id)
    await other.aclose(grace_seconds=0)
    await database.close()
