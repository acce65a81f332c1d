"""Fixtures that search by words alone, and by parts of words too."""

from collections.abc import Callable

import pytest
import pytest_asyncio

from hansard.database import search_index
from hansard.models.search import SearchSettings
from hansard.store.contract import UserStore
from hansard.store.sql import SqlStore
from hansard.utils.ids import new_uuid

WORDS, SUBSTRINGS = SearchSettings("words"), SearchSettings("words+substring")


@pytest.fixture(scope="module")
def indexes(database_url: str) -> None:
    """Index everything; the setting of each store says what of it is used."""
    assert search_index.apply(database_url, SUBSTRINGS) == []


@pytest_asyncio.fixture(loop_scope="module", params=[WORDS, SUBSTRINGS], ids=lambda settings: settings.mode)
async def searching(request: pytest.FixtureRequest, store: SqlStore, indexes: None) -> SqlStore:
    """A store that searches in one of the two ways."""
    return SqlStore(store.database, search=request.param)


@pytest.fixture
def someone(searching: SqlStore) -> Callable[[], UserStore]:
    """Whom the database has never seen, each time somebody else."""
    return lambda: searching.for_user(f"user-{new_uuid()}")
