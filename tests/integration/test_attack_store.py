"""Attack: the store itself makes a mistake in every statement, and another user's things are tried with every call.

On PostgreSQL the database has the last word, whatever login the service came with. On SQLite nothing stands behind the
statements; there the same mistakes do their harm, which shows that the attack is one.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from hansard.database import Database, open_database
from hansard.errors import HansardError
from hansard.models.idempotency import Answer, RequestKey
from hansard.store.contract import UserStore
from hansard.store.sql import SqlStore
from hansard.utils.ids import new_uuid
from tests.support.fortress import LOGINS, Fortress, rows_of, standing
from tests.support.items import exact
from tests.support.mistakes import Mistake, MistakenDatabase
from tests.support.observers import Observer, PostgresObserver, SqliteObserver
from tests.support.pg_server import PostgresServer
from tests.support.store_calls import CALLS, NAMING_CALLS, StoreCall, Things, prepare
from tests.support.store_steps import says

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "only Ada knows"
REFUSED = (
    "DatabaseError: PostgreSQL refused the statement: row-level security or a missing grant (SQLSTATE 42501); "
    "hansard doctor tells what is missing"
)
ATTACKS = [
    pytest.param(call, mistake, login, id=f"{call.label} when {mistake}, login: {login}")
    for mistake in Mistake
    for login in LOGINS
    for call in CALLS
]
# Two are harmless there as well: to find nothing without a filter and then make one's own, and a search, which names
# its user a second time among the words it looks for.
HARMFUL = [
    pytest.param(call, mistake, id=f"{call.label} when {mistake}")
    for mistake in Mistake
    for call in CALLS
    if call.method != "search.messages" and (call.method, mistake) != ("conversations.ensure", Mistake.FORGETS)
]


async def _answer() -> Answer:
    return Answer(200, SECRET)


class Attack:
    """Hold a victim with one of everything, and a stranger whose store makes a mistake."""

    def __init__(self, database: Database, observer: Observer) -> None:
        self._database = database
        self._observer = observer
        self.victim = SqlStore(database).for_user(f"ada-{new_uuid()}")
        self.honest = SqlStore(database).for_user(f"eve-{new_uuid()}")
        self.things: Things

    async def prepare(self) -> "Attack":
        await prepare(self.honest)
        things = await prepare(self.victim)
        await self.victim.items.append(things.conversation_id, says(SECRET))
        await self.victim.tasks.update(things.task_id, title=SECRET)
        await self.victim.keys.once(RequestKey("key", bytes(32)), _answer)
        named = await self.victim.conversations.get(things.conversation_id)
        assert named.title == SECRET
        self.things = things._replace(revision=named.revision)
        return self

    def mistaken(self, mistake: Mistake) -> UserStore:
        wrong = MistakenDatabase(self._database, mistake, self.victim.user_id)
        return SqlStore(wrong).for_user(self.honest.user_id)

    async def outcome(self, user: UserStore, call: StoreCall) -> str:
        """Return what the caller learns: an answer, or an error in its words."""
        try:
            return exact(await call.call(user, self.things))
        except HansardError as error:
            return f"{type(error).__name__}: {error}"

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        return rows_of(self._observer, self.victim.user_id)


@pytest.fixture(scope="module")
def fortress(pg_server: PostgresServer) -> Iterator[Fortress]:
    with standing(pg_server) as found:
        yield found


@pytest.fixture(scope="module")
def onlooker(fortress: Fortress) -> Iterator[Observer]:
    with closing(PostgresObserver(fortress.superuser)) as observer:
        yield observer


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def attacks(fortress: Fortress, onlooker: Observer) -> AsyncIterator[dict[str, Attack]]:
    """A victim for each kind of login; whatever is tried, they are as they were, so they serve for all tests."""
    opened = {login: await open_database(fortress.url(login)) for login in LOGINS}
    yield {login: await Attack(database, onlooker).prepare() for login, database in opened.items()}
    await asyncio.gather(*(one.close() for one in opened.values()))


@pytest.mark.parametrize("call, mistake, login", ATTACKS)
async def test_nothing_of_another_user_is_shown_or_changed_by(attacks, call, mistake, login):
    attack = attacks[login]
    before = attack.rows()
    learnt = await attack.outcome(attack.mistaken(mistake), call)
    assert attack.rows() == before
    assert SECRET not in learnt
    if call in NAMING_CALLS:
        missing = await attack.outcome(attack.honest, call)
        assert learnt == missing if mistake is Mistake.FORGETS else learnt in {missing, REFUSED}


class TestTheSameMistakesDoHarmWhereNothingStandsBehindTheStatements:
    """The control: a test of the attack, not of the store."""

    @pytest_asyncio.fixture(loop_scope="module")
    async def attack(self, sqlite_template: Path, tmp_path: Path) -> AsyncIterator[Attack]:
        path = Path(shutil.copy(sqlite_template, tmp_path))
        opened = await open_database(f"sqlite:///{path}")
        with closing(SqliteObserver(path)) as observer:
            yield await Attack(opened, observer).prepare()
        await opened.close()

    @pytest.mark.parametrize("call, mistake", HARMFUL)
    async def test_by(self, attack, call, mistake):
        before, right = attack.rows(), await attack.outcome(attack.honest, call)
        learnt = await attack.outcome(attack.mistaken(mistake), call)
        assert attack.rows() != before or learnt != right
