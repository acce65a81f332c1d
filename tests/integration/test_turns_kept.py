"""What is kept of a turn and for how long, whose it is, and what it costs."""

import asyncio
import time
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from hansard.errors import InvalidInput, NotFound
from hansard.services import keeper
from hansard.services.keeper import Pace
from hansard.services.turns import Turn
from hansard.store.sql import SqlStore
from tests.support.agents import Scripted, echo, user_says
from tests.support.turns import PACE, ask, home_of, stored, turns_with

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_events_that_are_no_longer_kept_are_refused_and_the_response_stays(
    turns, agent, user, elsewhere, observer
):
    other, there = elsewhere
    agent.say("Hello", None)
    turn = await ask(turns, user)
    response = await turns.finished(turn)
    observer.execute("DELETE FROM turn_events WHERE turn_id = ?", spelled(observer, turn))
    with pytest.raises(InvalidInput, match="no longer kept"):
        await other.follow(await other.find(there, turn.id), after=3)
    assert await other.response(there, turn.id) == response


async def test_old_events_go_when_the_next_turn_begins(store, database, user):
    forgetful = SqlStore(database, events_kept_seconds=0).for_user(user.user_id)
    turns = turns_with(Scripted(echo))
    first = await ask(turns, forgetful)
    await turns.finished(first)
    assert (await forgetful.turns.events(first.id))[1]
    await turns.finished(await ask(turns, forgetful))
    assert (await forgetful.turns.events(first.id))[1] == []


async def test_the_lease_of_a_turn_that_is_silent_is_renewed_before_it_ends(agent, user, observer, monkeypatch):
    assert keeper._RENEWALS_PER_LEASE >= 3
    # More often than that, and long, so that no machine is too slow for it.
    monkeypatch.setattr(keeper, "_RENEWALS_PER_LEASE", 200)
    lease = timedelta(minutes=1)
    turns = turns_with(agent, pace=replace(PACE, lease_seconds=lease.total_seconds()))
    turn = await ask(turns, user)
    agent.say("Well")
    await stored(user, turn, "Well")
    begun = renewed = lease_of(observer, turn)
    deadline = time.monotonic() + 30
    while renewed == begun:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
        renewed = lease_of(observer, turn)
    assert begun < renewed < begun + lease
    agent.say(None)
    await turns.finished(turn)


def lease_of(observer, turn: Turn) -> datetime:
    [[found]] = observer.execute("SELECT lease_expires_at FROM turns WHERE id = ?", spelled(observer, turn))
    return found if isinstance(found, datetime) else datetime.fromisoformat(found)


def spelled(observer, turn: Turn) -> UUID | str:
    return turn.id.hex if "Sqlite" in type(observer).__name__ else turn.id


async def test_a_deleted_response_is_gone_and_its_words_stay(turns, agent, user):
    turn = await ask(turns, user)
    agent.say("Hello")
    await stored(user, turn, "Hello")
    home = await home_of(user, turn)
    await turns.delete(user, turn.id)
    with pytest.raises(NotFound):
        await turns.response(user, turn.id)
    assert [item.content for item in await user.items.last(home, 10)] == ["hello", "Hello"]


async def test_a_turn_whose_conversation_is_deleted_ends_without_a_trace(turns, agent, user):
    turn = await ask(turns, user)
    home = await home_of(user, turn)
    await user.conversations.delete(home)
    agent.say("Hello", None)
    with pytest.raises(NotFound):
        await turns.finished(turn)


async def test_somebody_elses_turn_is_a_missing_turn(turns, agent, user, new_user):
    turn = await ask(turns, user)
    stranger = new_user()
    for call in (turns.find, turns.response, turns.cancel, turns.delete):
        with pytest.raises(NotFound):
            await call(stranger, turn.id)
    home = await home_of(user, turn)
    assert await turns.last_response(stranger, home) is None
    assert (await turns.last_response(user, home) or {})["status"] == "in_progress"
    agent.say(None)
    assert (await turns.finished(turn))["status"] == "completed"


async def test_a_turn_costs_the_same_after_ten_items_and_after_ten_thousand(store, user, database, observer):
    # Nothing is written only because time has passed, however slow the machine.
    turns = turns_with(Scripted(echo), pace=Pace(lease_seconds=3600, batch_seconds=3600))
    costs = []
    for count in (10, 10_000):
        home = (await user.conversations.create()).id
        for _ in range(0, count, 1000):
            await user.items.append(home, [user_says("x" * 50)] * min(count, 1000))
        sent: list[str] = []
        database.on_statement = sent.append
        turn = await ask(turns, user, conversation_id=home)
        await turns.finished(turn)
        database.on_statement = None
        costs.append((len(sent), written(observer, turn, first=count + 1)))
    assert costs[0] == costs[1]
    assert costs[0][0] < 20


def written(observer, turn: Turn, *, first: int) -> list[int]:
    """The bytes that a turn put into each table."""
    id_ = turn.id.hex if "Sqlite" in type(observer).__name__ else turn.id
    home = observer.execute("SELECT conversation_id FROM turns WHERE id = ?", id_)[0][0]
    queries = [
        ("SELECT sum(length(data)) FROM turn_events WHERE turn_id = ?", id_),
        ("SELECT sum(length(request) + length(result)) FROM turns WHERE id = ?", id_),
        ("SELECT sum(length(content)) FROM messages WHERE conversation_id = ? AND position >= ?", home, first),
    ]
    return [observer.execute(*query)[0][0] for query in queries]
