"""What the contract promises of tasks."""

from datetime import datetime, timedelta, timezone

import pytest

from hansard.errors import InvalidInput, NotFound
from hansard.models.task_models import TaskCreate
from hansard.store.contract import Page

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOBODYS = [0, -1, 2**31 - 1, 2**31, 2**63, -(2**63) - 1, 2**70, "", "abc", "1; DROP TABLE task", "a\x00", "\ud800"]


async def make(user, *titles):
    return [await user.tasks.create(TaskCreate(title)) for title in titles]


async def test_a_new_task_is_not_completed_and_is_returned_as_stored(user):
    made = await user.tasks.create(TaskCreate("Buy milk", "Two litres"))
    assert (made.title, made.description, made.completed) == ("Buy milk", "Two litres", False)
    assert made.created_at == made.updated_at
    assert made.created_at.utcoffset() == timedelta(0)
    assert abs(datetime.now(timezone.utc) - made.created_at) < timedelta(minutes=1)
    assert await user.tasks.get(made.id) == made


@pytest.mark.parametrize(
    "text", ["\U0001f984" * 200, "e\u0301", " blanks ", "'; DROP TABLE task; --", "%s ? :x", "\r\n"]
)
async def test_texts_are_kept_exactly(user, text):
    made = await user.tasks.create(TaskCreate(text, text * 5))
    found = await user.tasks.get(made.id)
    assert (found.title, found.description) == (text, text * 5)


async def test_a_description_may_be_missing_or_empty(user):
    made = [await user.tasks.create(TaskCreate("x", description)) for description in (None, "")]
    assert [(await user.tasks.get(task.id)).description for task in made] == [None, ""]


@pytest.mark.parametrize("limit", [1, 2, 4, 5, 6, 1000])
async def test_pages_hold_all_tasks_by_id(user, limit):
    made = await make(user, "one", "two", "three", "four", "five")
    found, after, more = [], None, True
    while more:
        page = await user.tasks.list(limit=limit, after=after)
        found += page.data
        after, more = page.data[-1].id, page.has_more
    assert found == made == sorted(made, key=lambda task: task.id)


@pytest.mark.parametrize(
    "completed, titles", [(None, ["one", "two", "three"]), (True, ["two"]), (False, ["one", "three"])]
)
async def test_the_list_may_hold_only_what_is_completed_or_not(user, completed, titles):
    made = await make(user, "one", "two", "three")
    await user.tasks.update(made[1].id, completed=True)
    assert [task.title for task in (await user.tasks.list(completed=completed)).data] == titles


async def test_a_filtered_walk_goes_on_where_it_was(user):
    made = await make(user, "one", "two", "three", "four")
    for task in (made[0], made[3]):
        await user.tasks.update(task.id, completed=True)
    page = await user.tasks.list(limit=1, completed=True)
    assert ([task.title for task in page.data], page.has_more) == (["one"], True)
    page = await user.tasks.list(limit=1, completed=True, after=page.data[0].id)
    assert ([task.title for task in page.data], page.has_more) == (["four"], False)


async def test_a_walk_goes_on_after_a_task_that_is_gone(user):
    made = await make(user, "one", "two", "three")
    await user.tasks.delete(made[1].id)
    assert (await user.tasks.list(after=made[1].id)).data == [made[2]]


async def test_somebody_without_tasks_has_an_empty_list(user):
    assert await user.tasks.list() == Page([], has_more=False)


@pytest.mark.parametrize("limit", [0, -1, 1001, True, "20", None])
async def test_a_limit_that_is_none_is_refused_by_name(user, limit):
    with pytest.raises(InvalidInput) as caught:
        await user.tasks.list(limit=limit)
    assert caught.value.param == "limit"


@pytest.mark.parametrize(
    "change, expected",
    [
        ({"title": "Buy bread"}, ("Buy bread", "Two litres", False)),
        ({"description": "One"}, ("Buy milk", "One", False)),
        ({"description": None}, ("Buy milk", None, False)),
        ({"completed": True}, ("Buy milk", "Two litres", True)),
        ({"title": "A", "description": "B", "completed": True}, ("A", "B", True)),
        ({}, ("Buy milk", "Two litres", False)),
    ],
    ids=str,
)
async def test_update_changes_the_given_fields_and_no_others(user, change, expected):
    made = await user.tasks.create(TaskCreate("Buy milk", "Two litres"))
    updated = await user.tasks.update(made.id, **change)
    assert (updated.title, updated.description, updated.completed) == expected
    assert updated.created_at == made.created_at
    assert updated.updated_at >= made.updated_at
    assert await user.tasks.get(made.id) == updated


async def test_a_completed_task_may_be_opened_again(user):
    made = await user.tasks.create(TaskCreate("Buy milk"))
    assert (await user.tasks.update(made.id, completed=True)).completed is True
    assert (await user.tasks.update(made.id, completed=False)).completed is False


@pytest.mark.parametrize(
    "change",
    [{"title": ""}, {"title": "x" * 201}, {"title": None}, {"description": "x" * 1001}, {"title": "\x00"}],
    ids=lambda change: str(change)[:24],
)
async def test_a_bad_change_is_refused_and_nothing_is_written(user, change):
    made = await user.tasks.create(TaskCreate("Buy milk"))
    with pytest.raises(InvalidInput) as caught:
        await user.tasks.update(made.id, **change)
    assert caught.value.param in change
    assert await user.tasks.get(made.id) == made


async def test_delete_says_whether_the_task_was_there(user):
    first, second = await make(user, "one", "two")
    assert await user.tasks.delete(first.id) is True
    assert await user.tasks.delete(first.id) is False
    assert (await user.tasks.list()).data == [second]


@pytest.mark.parametrize("task_id", NOBODYS, ids=lambda task_id: ascii(task_id)[:12])
async def test_an_id_that_no_task_can_have_is_a_missing_one(user, task_id):
    await make(user, "one")
    for call in (user.tasks.get(task_id), user.tasks.update(task_id, title="x")):
        with pytest.raises(NotFound, match=r"^task "):
            await call
    assert await user.tasks.delete(task_id) is False


@pytest.mark.parametrize("after", [2**31 - 1, 2**31, 2**63, 2**70])
async def test_nothing_follows_an_id_beyond_all_others(user, after):
    await make(user, "one")
    assert await user.tasks.list(after=after) == Page([], has_more=False)
