"""What the contract promises of idempotency keys: work is done once, and its answer is given again."""

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from operator import add

import pytest

from hansard.errors import DatabaseUnavailable, IdempotencyConflict, InvalidInput, NotFound, OutcomeUnknown, UnknownUser
from hansard.models.idempotency import Answer, RequestKey
from hansard.store.keys import SqlKeys
from hansard.store.sql import SqlStore
from hansard.store.statements.keys import EXPIRED_AT_ONCE
from hansard.utils.clock import utc_now
from hansard.utils.ids import new_uuid
from tests.support.store_steps import everything_of, says, walk_items

pytestmark = pytest.mark.asyncio(loop_scope="module")

ASKED = bytes(range(32))
OTHER = bytes(32)
COUNT = "SELECT count(*) FROM idempotency_keys WHERE user_id = ?"


def key(text="k", request=ASKED):
    return RequestKey(text, request)


class append:  # noqa: N801 - read as a verb
    """Append one item, and count how often that was done."""

    def __init__(self, user, conversation_id):
        self.user, self.conversation_id, self.calls = user, conversation_id, 0

    async def __call__(self):
        self.calls += 1
        [stored] = await self.user.items.append(self.conversation_id, says("Hi"))
        return Answer(200, f"position {stored.position}")


async def fail():
    raise ZeroDivisionError


async def test_the_first_call_does_the_work(user):
    made = await user.conversations.create()
    assert await user.keys.once(key(), append(user, made.id)) == Answer(200, "position 1", replayed=False)
    assert len(await walk_items(user, made.id)) == 1


async def test_a_repeated_call_gets_the_same_answer_and_changes_nothing(user):
    made = await user.conversations.create()
    work = append(user, made.id)
    await user.keys.once(key(), work)
    before = await everything_of(user)
    for _ in range(3):
        assert await user.keys.once(key(), work) == Answer(200, "position 1", replayed=True)
    assert work.calls == 1
    assert await everything_of(user) == before
    assert [item.position for item in await user.items.append(made.id, says("next"))] == [2]


@pytest.mark.parametrize(
    "text", ["", " \t\r\n", "{}", "é \U0001f984 '; --", "x" * 100_000], ids=["empty", "blank", "json", "hard", "long"]
)
async def test_an_answer_comes_back_exactly(user, text):
    async def work():
        return Answer(201, text)

    await user.keys.once(key(), work)
    assert await user.keys.once(key(), fail) == Answer(201, text, replayed=True)


async def test_an_answer_outlives_what_was_made(user):
    made = await user.conversations.create()
    await user.keys.once(key(), append(user, made.id))
    await user.conversations.delete(made.id)
    assert (await user.keys.once(key(), fail)).text == "position 1"


async def test_a_key_stands_for_one_request(user):
    made = await user.conversations.create()
    await user.keys.once(key(), append(user, made.id))
    before = await everything_of(user)
    with pytest.raises(IdempotencyConflict):
        await user.keys.once(key(request=OTHER), append(user, made.id))
    assert await everything_of(user) == before


async def test_other_keys_are_other_work(user):
    made = await user.conversations.create()
    work = append(user, made.id)
    for text in ["k", "K", " k", "k ", "~" * 255]:
        await user.keys.once(key(text), work)
    assert work.calls == 5


async def test_everybody_has_keys_of_their_own(new_user):
    for user in (new_user(), new_user()):
        made = await user.conversations.create()
        assert not (await user.keys.once(key(), append(user, made.id))).replayed


async def test_work_that_fails_leaves_nothing_and_may_be_tried_again(user, observer):
    made = await user.conversations.create()
    before = await everything_of(user)

    async def work():
        await user.items.append(made.id, says("Hi"))
        await user.items.append(new_uuid(), says("nowhere"))

    with pytest.raises(NotFound):
        await user.keys.once(key(), work)
    assert await everything_of(user) == before
    assert observer.execute(COUNT, user.user_id) == [(0,)]
    assert not (await user.keys.once(key(), append(user, made.id))).replayed


async def test_a_cancelled_call_leaves_nothing(user, observer):
    made = await user.conversations.create()
    working = asyncio.Event()

    async def work():
        await user.items.append(made.id, says("Hi"))
        working.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(user.keys.once(key(), work))
    await working.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert observer.execute(COUNT, user.user_id) == [(0,)]
    assert await walk_items(user, made.id) == []


async def test_the_work_may_make_the_user(user):
    async def work():
        made = await user.conversations.create(items=says("Hi"))
        return Answer(200, made.public_id)

    first = await user.keys.once(key(), work)
    [made] = (await user.conversations.list()).data
    assert first.text == made.public_id


async def test_where_users_are_made_elsewhere_a_key_makes_none(database, user, observer):
    strict = SqlStore(database, provision_users=False).for_user(user.user_id)
    with pytest.raises(UnknownUser):
        await strict.keys.once(key(), fail)
    assert observer.execute('SELECT count(*) FROM "user" WHERE id = ?', user.user_id) == [(0,)]


async def test_a_key_joins_a_block_and_is_undone_with_it(user, observer):
    made = await user.conversations.create()
    with suppress(ZeroDivisionError):
        async with user.atomic():
            await user.keys.once(key(), append(user, made.id))
            raise ZeroDivisionError
    assert observer.execute(COUNT, user.user_id) == [(0,)]
    async with user.atomic():
        await user.keys.once(key(), append(user, made.id))
        assert (await user.keys.once(key(), fail)).replayed
    assert (await user.keys.once(key(), fail)).text == "position 1"


async def test_many_calls_at_once_do_the_work_once(user):
    made = await user.conversations.create()
    work = append(user, made.id)
    answers = await asyncio.gather(*(user.keys.once(key(), work) for _ in range(12)))
    assert sorted(answers) == [Answer(200, "position 1")] + [Answer(200, "position 1", replayed=True)] * 11
    assert len(await walk_items(user, made.id)) == 1


async def test_different_keys_of_one_user_all_get_through_at_once(user):
    made = await user.conversations.create()
    work = append(user, made.id)
    answers = await asyncio.gather(*(user.keys.once(key(str(number)), work) for number in range(12)))
    assert sorted(answer.text for answer in answers) == sorted(f"position {at}" for at in range(1, 13))


@pytest.mark.parametrize("first_fails", [False, True])
async def test_a_second_call_waits_for_the_first(user, first_fails):
    made = await user.conversations.create()
    working, go_on = asyncio.Event(), asyncio.Event()

    async def slow():
        working.set()
        await go_on.wait()
        if first_fails:
            raise ZeroDivisionError
        return Answer(200, "first")

    first = asyncio.create_task(user.keys.once(key(), slow))
    await working.wait()
    second = asyncio.create_task(user.keys.once(key(), append(user, made.id)))
    await asyncio.wait([second], timeout=0.05)
    assert not second.done()
    go_on.set()
    await asyncio.wait([first])
    expected = Answer(200, "position 1") if first_fails else Answer(200, "first", replayed=True)
    assert await second == expected
    assert isinstance(first.exception(), ZeroDivisionError if first_fails else type(None))


class TestAfterADay:
    def at(self, user, hours):
        scope = replace(user.scope, clock=lambda: utc_now() + timedelta(hours=hours))
        return SqlKeys(scope)

    async def test_a_key_still_holds_just_before(self, user):
        made = await user.conversations.create()
        await user.keys.once(key(), append(user, made.id))
        assert (await self.at(user, 23.9).once(key(), fail)).replayed

    async def test_the_same_key_is_a_new_one_even_for_another_request(self, user, observer):
        made = await user.conversations.create()
        await user.keys.once(key(), append(user, made.id))
        again = await self.at(user, 24.1).once(key(request=OTHER), append(user, made.id))
        assert again == Answer(200, "position 2")
        assert observer.execute(COUNT, user.user_id) == [(1,)]

    async def test_ones_own_old_keys_are_cleared_away_by_the_next_a_hundred_at_a_time(self, user, new_user, observer):
        other = new_user()

        async def work():
            return Answer(200, "")

        await other.keys.once(key(), work)
        for number in range(103):
            await user.keys.once(key(str(number)), work)
        await self.at(user, 24.1).once(key("new"), work)
        assert observer.execute(COUNT, user.user_id) == [(4,)]
        await self.at(user, 24.1).once(key("newer"), work)
        assert observer.execute(COUNT, user.user_id) == [(2,)]
        assert observer.execute(COUNT, other.user_id) == [(1,)]


async def test_how_long_a_key_is_remembered_is_said_by_who_opens_the_store(database, user):
    hour = SqlStore(database, keys_remembered=timedelta(hours=1)).for_user(user.user_id)
    made = await user.conversations.create()
    work = append(user, made.id)
    for minutes, expected in [(0, "position 1"), (59, "position 1"), (61, "position 2")]:
        late = timedelta(minutes=minutes)
        scope = replace(hour.scope, clock=partial(add, utc_now(), late))
        assert (await replace(hour, scope=scope).keys.once(key(), work)).text == expected


class TestACommitInDoubt:
    """The commit's answer is lost: the call finds out by itself whether the work was stored."""

    @staticmethod
    def losing(database, monkeypatch, times, *, stored):
        atomic, left = database.atomic, iter(range(times))

        @asynccontextmanager
        async def losing_answers(user_id):
            lost = next(left, None) is not None
            with suppress(EOFError):
                async with atomic(user_id):
                    yield
                    if lost and not stored:
                        raise EOFError
            if lost:
                raise OutcomeUnknown("lost")

        monkeypatch.setattr(database, "atomic", losing_answers)

    @pytest.mark.parametrize("stored", [True, False])
    async def test_the_work_counts_once(self, database, user, monkeypatch, stored):
        made = await user.conversations.create()
        self.losing(database, monkeypatch, 1, stored=stored)
        answer = await user.keys.once(key(), append(user, made.id))
        assert answer == Answer(200, "position 1", replayed=stored)
        assert len(await walk_items(user, made.id)) == 1

    async def test_twice_is_an_error_that_may_be_tried_again(self, database, user, monkeypatch):
        made = await user.conversations.create()
        self.losing(database, monkeypatch, 2, stored=True)
        with pytest.raises(DatabaseUnavailable):
            await user.keys.once(key(), append(user, made.id))
        assert (await user.keys.once(key(), fail)).text == "position 1"


@pytest.mark.parametrize("text", ["", "x" * 256, "a\x00", "a\n", "a\x7f", "é", "\ud800", None, 7])
async def test_no_key_looks_like_this(text):
    with pytest.raises(InvalidInput, match="Idempotency-Key") as caught:
        RequestKey(text, ASKED, param="Idempotency-Key")
    assert caught.value.param == "Idempotency-Key"


async def test_what_expires_is_ones_own_key_alone(user, new_user):
    other = new_user()
    made, theirs = await user.conversations.create(), await other.conversations.create()
    work, their_work = append(user, made.id), append(other, theirs.id)
    long_ago = replace(user.scope, clock=lambda: utc_now() - timedelta(hours=25))
    await replace(user, scope=long_ago).keys.once(key("shared"), work)
    await other.keys.once(key("shared"), their_work)
    await user.keys.once(key("another"), work)  # and tidy up
    assert (await other.keys.once(key("shared"), their_work)).replayed
    assert their_work.calls == 1


async def test_a_key_that_has_expired_is_free_however_many_have(user):
    made = await user.conversations.create()
    long_ago = replace(user.scope, clock=lambda: utc_now() - timedelta(hours=25))
    earlier = replace(user, scope=long_ago)
    for number in range(EXPIRED_AT_ONCE + 1):
        await earlier.keys.once(key(str(number)), answer)
    work = append(user, made.id)
    assert not (await user.keys.once(key(str(EXPIRED_AT_ONCE), OTHER), work)).replayed


async def answer():
    return Answer(200, "done")
