"""The number of statements grows neither with a page nor with what lies behind it."""

import pytest

from hansard.models.message import MessageCreate
from hansard.models.task_models import TaskCreate
from hansard.utils.ids import mint
from tests.support.store_steps import numbered, says

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def count(database):
    """Count the statements that a call sends."""

    async def statements_of(call):
        sent: list[str] = []
        database.on_statement = sent.append
        try:
            await call
        finally:
            database.on_statement = None
        assert sent, "nothing was recorded"
        return len(sent)

    return statements_of


async def conversation_of(user, items):
    made = await user.conversations.create()
    for first in range(1, items + 1, 1000):
        await user.items.append(made.id, numbered(min(1000, items - first + 1), first=first))
    return made.id


READS = {
    "get": lambda user, here, _: user.conversations.get(here),
    "item": lambda user, here, _: user.items.get(here, 5),
    "first page": lambda user, here, size: user.items.list(here, limit=size),
    "next page": lambda user, here, size: user.items.list(here, limit=size, after=3),
    "page backwards": lambda user, here, size: user.items.list(here, limit=size, order="desc"),
    "last": lambda user, here, size: user.items.last(here, size),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
async def test_reads_cost_the_same_with_long_histories_and_large_pages(user, count, read):
    short, long = await conversation_of(user, 10), await conversation_of(user, 2000)
    costs = {await count(read(user, here, size)) for here in (short, long) for size in (1, 10, 100)}
    assert len(costs) == 1
    assert costs <= {1, 2}


async def test_a_page_after_a_public_id_costs_the_same_with_long_histories(user, count):
    costs = set()
    for size in (10, 2000):
        raw = mint()
        made = await user.conversations.create(items=[MessageCreate(numbered(1)[0], public_id=raw)])
        await user.items.append(made.id, numbered(size))
        costs |= {await count(user.items.list(made.id, limit=limit, after=raw)) for limit in (10, 100)}
    assert len(costs) == 1
    assert costs <= {1, 2, 3}


async def test_the_list_costs_one_statement_however_many_conversations_there_are(user, count):
    costs = set()
    for more in (5, 295):
        for number in range(more):
            await user.conversations.create(items=says(f"Conversation {number}"))
        costs |= {await count(user.conversations.list(limit=limit)) for limit in (5, 20, 100)}
    assert costs == {1}


async def test_an_append_costs_the_same_with_long_histories(user, count, database):
    costs = set()
    for size in (10, 2000):
        here = await conversation_of(user, size)
        costs.add(await count(user.items.append(here, numbered(1))))
    assert costs == ({1} if database.functions else {2})


async def test_a_batch_costs_one_statement_for_each_item_at_most(user, count, database):
    here = await conversation_of(user, 10)
    costs = [await count(user.items.append(here, numbered(size))) for size in (1, 20)]
    assert costs == ([1, 1] if database.functions else [2, 21])


CHANGES = {
    "rename": lambda user, here: user.conversations.rename(here, "x"),
    "archive": lambda user, here: user.conversations.archive(here),
    "suggest a title": lambda user, here: user.conversations.suggest_title(here, "x"),
    "delete an item": lambda user, here: user.items.delete(here, 5),
    "delete a conversation": lambda user, here: user.conversations.delete(here),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_changes_cost_the_same_with_long_histories(user, count, change):
    costs = {await count(change(user, await conversation_of(user, size))) for size in (10, 2000)}
    assert len(costs) == 1
    assert costs <= {1, 2, 3}


async def test_the_task_list_costs_one_statement(user, count):
    costs = set()
    for more in (1, 50):
        for number in range(more):
            await user.tasks.create(TaskCreate(f"Task {number}"))
        costs |= {await count(user.tasks.list(limit=limit)) for limit in (1, 10, 100)}
    assert costs == {1}
