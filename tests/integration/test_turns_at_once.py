"""Of two turns in a conversation one waits or is told so, and the same request is the same turn."""

import asyncio

import pytest

from hansard.errors import ConversationLocked, IdempotencyConflict
from hansard.models import RequestKey
from hansard.services.beginning import TurnRequest
from hansard.services.keeper import Pace
from hansard.services.turns import Turns
from tests.support.agents import Prompted, user_says
from tests.support.turns import ask, home_of, told, turns_with

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_of_two_who_ask_at_the_same_time_one_is_told_to_wait(turns, agent, user):
    home = (await user.conversations.create()).id
    asked = await asyncio.gather(*[ask(turns, user, conversation_id=home) for _ in range(5)], return_exceptions=True)
    assert sorted(type(one).__name__ for one in asked) == ["ConversationLocked"] * 4 + ["Turn"]
    assert len(await user.items.last(home, 10)) == 1


async def test_who_asks_to_wait_comes_next_also_when_the_other_turn_runs_elsewhere(turns, agent, user, elsewhere):
    other, there = elsewhere
    turn = await ask(turns, user)
    home = await home_of(user, turn)
    here = asyncio.create_task(ask(turns, user, conversation_id=home, wait=True))
    away = asyncio.create_task(other.run(there, TurnRequest([user_says("next")], conversation_id=home, wait=True)))
    agent.say("1", None, "2", None)
    assert (await turns.finished(turn))["status"] == "completed"
    assert (await turns.finished(await here))["status"] == "completed"
    assert (await away)["status"] == "completed"
    assert len(await user.items.last(home, 10)) == 6


async def test_who_waits_too_long_is_told_so(store, user):
    agent = Prompted()
    turns = turns_with(agent, pace=Pace(wait_seconds=0.05))
    turn = await ask(turns, user)
    with pytest.raises(ConversationLocked):
        await ask(turns, user, conversation_id=await home_of(user, turn), wait=True)
    agent.say(None)
    await turns.aclose()


async def test_the_same_key_is_the_same_turn_while_it_runs_and_afterwards_in_any_process(turns, agent, user, elsewhere):
    other, there = elsewhere
    home = (await user.conversations.create()).id
    key = RequestKey("k", b"a" * 32)
    first, *others = await asyncio.gather(*[ask(turns, user, conversation_id=home, key=key) for _ in range(4)])
    assert {turn.id for turn in others} == {first.id}
    away = await ask(other, there, conversation_id=home, key=key)
    following = [asyncio.create_task(told(turns, turn)) for turn in (first, *others)]
    following.append(asyncio.create_task(told(other, away)))
    agent.say("Once", None)
    found = await asyncio.gather(*following)
    assert all([event[:4] for event in events] == [event[:4] for event in found[0]] for events in found)
    again = await ask(other, there, conversation_id=home, key=key)
    assert [event[:4] for event in await told(other, again)] == [event[:4] for event in found[0]]
    without_the_model = Turns({}, default_model="another")
    assert (await ask(without_the_model, user, conversation_id=home, key=key)).id == first.id
    with pytest.raises(IdempotencyConflict):
        await ask(turns, user, conversation_id=home, key=RequestKey("k", b"b" * 32))
    assert len(await user.items.last(home, 10)) == 2
