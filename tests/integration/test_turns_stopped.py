"""A turn ends when it is stopped, from wherever, and keeps what it said."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator

import pytest

from hansard.agents.events import Answer
from hansard.agents.protocol import AgentRequest, Event, Outcome
from hansard.errors import ShuttingDown
from hansard.services import keeper, running
from hansard.services.beginning import TurnRequest
from hansard.services.keeper import Pace
from tests.support.agents import DONE, Prompted, Scripted, pieces, user_says
from tests.support.turns import ask, stored, text_of, told, turns_with

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_turn_is_stopped_from_another_process_and_keeps_what_it_said(store, user, elsewhere, monkeypatch):
    # Looks for what was asked of it often, and may come late all the same.
    monkeypatch.setattr(keeper, "_RENEWALS_PER_LEASE", 100)
    other, there = elsewhere
    agent = Prompted()
    turns = turns_with(agent, pace=Pace(lease_seconds=20, batch_seconds=0.01))
    turn = await ask(turns, user)
    agent.say("So far")
    await stored(user, turn, "So far")
    listening = asyncio.create_task(told(turns, turn))
    response = await other.cancel(there, turn.id)
    assert (response["status"], text_of(response)) == ("cancelled", "So far")
    assert await other.cancel(there, turn.id) == response
    events = await listening
    assert json.loads(events[-1].data)["response"] == response
    assert await told(other, await other.find(there, turn.id)) == events
    await turns.aclose()


async def test_a_finished_turn_stays_as_it_is_when_it_is_cancelled(turns, agent, user):
    agent.say("All", None)
    turn = await ask(turns, user)
    response = await turns.finished(turn)
    assert await turns.cancel(user, turn.id) == response


async def test_when_the_server_is_stopped_turns_end_with_what_was_said(store, user):
    agent = Prompted()
    turns = turns_with(agent)
    turn = await ask(turns, user)
    agent.say("Half")
    await stored(user, turn, "Half")
    await turns.aclose(grace_seconds=0)
    response = await turns.response(user, turn.id)
    assert (response["status"], text_of(response)) == ("incomplete", "Half")
    with pytest.raises(ShuttingDown):
        await ask(turns, user)


async def test_a_turn_that_ends_in_time_is_complete_when_the_server_is_stopped(store, user):
    agent = Prompted()
    turns = turns_with(agent)
    turn = await ask(turns, user)
    closing = asyncio.create_task(turns.aclose(grace_seconds=60))
    agent.say("All", None)
    await closing
    assert (await turns.response(user, turn.id))["status"] == "completed"


async def test_a_turn_that_is_just_beginning_has_its_time_too_when_the_server_is_stopped(store, user):
    agent = Prompted()
    turns = turns_with(agent)
    home = (await user.conversations.create()).id
    beginning = asyncio.create_task(ask(turns, user, conversation_id=home))
    await asyncio.sleep(0)
    closing = asyncio.create_task(turns.aclose(grace_seconds=60))
    turn = await beginning
    await agent.asked.wait()
    agent.say("All", None)
    await closing
    assert (await turns.response(user, turn.id))["status"] == "completed"


async def test_an_agent_that_does_not_stop_is_left_behind(store, user, monkeypatch):
    monkeypatch.setattr(running, "_STOPPING_SECONDS", 0.01)
    release = asyncio.Event()

    async def stubborn(_: AgentRequest) -> AsyncGenerator[Event | Outcome, None]:
        async for event in Answer().message(pieces("Said")):
            yield event
        while not release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await release.wait()
        yield {"type": "response.too_late"}

    turns = turns_with(Scripted(stubborn))
    turn = await ask(turns, user)
    await stored(user, turn, "Said")
    response = await turns.cancel(user, turn.id)
    assert (response["status"], text_of(response)) == ("cancelled", "Said")
    release.set()
    assert "too_late" not in str(await told(turns, await turns.find(user, turn.id)))


async def test_what_an_agent_says_after_it_was_stopped_is_not_heard(store, user):
    async def deaf(_: AgentRequest) -> AsyncGenerator[Event | Outcome, None]:
        async for event in Answer().message(pieces("Said")):
            yield event
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        yield {"type": "response.too_late"}
        yield DONE

    turns = turns_with(Scripted(deaf))
    turn = await ask(turns, user)
    await stored(user, turn, "Said")
    response = await turns.cancel(user, turn.id)
    assert (response["status"], text_of(response)) == ("cancelled", "Said")
    assert "too_late" not in str(await told(turns, await turns.find(user, turn.id)))


async def test_a_turn_that_begins_when_the_time_is_over_is_stopped_at_once(user, observer):
    turns = turns_with(Prompted())
    home = (await user.conversations.create()).id
    with observer.holding_writers():
        beginning = asyncio.create_task(ask(turns, user, conversation_id=home))
        await asyncio.sleep(0)
        closing = asyncio.create_task(turns.aclose(grace_seconds=0))
        # Nothing runs yet, so nothing but the grace that is over can be told from outside.
        while not turns._roster._stopping:  # noqa: ASYNC110 - nobody is told
            await asyncio.sleep(0)
    turn = await beginning
    await asyncio.wait_for(closing, 10)
    assert (await turns.response(user, turn.id))["status"] == "incomplete"


async def test_an_answer_that_does_not_end_is_broken_off(user, monkeypatch):
    monkeypatch.setattr(running, "_SAID_CHARACTERS", 10_000)

    async def endless(_: AgentRequest) -> AsyncGenerator[Event | Outcome, None]:
        async for event in Answer().message(pieces(*["word "] * 1000)):
            yield event
        yield DONE

    turns = turns_with(Scripted(endless))
    response = await turns.finished(await ask(turns, user))
    assert response["status"] == "incomplete"
    assert 0 < text_of(response).count("word ") < 1000


async def test_who_leaves_while_a_turn_begins_does_not_undo_it(turns, agent, user, observer):
    home = (await user.conversations.create()).id
    with observer.holding_writers():
        beginning = asyncio.create_task(ask(turns, user, conversation_id=home))
        await asyncio.sleep(0)
        beginning.cancel()
        await asyncio.wait([beginning])
    assert beginning.cancelled()
    await asyncio.wait_for(agent.asked.wait(), 10)
    assert [item.content for item in await user.items.last(home, 10)] == ["hello"]


async def test_an_answer_that_nobody_can_ever_see_is_stopped(turns, user):
    turn = await turns.begin(user, TurnRequest([user_says("hello")], store=False))
    pages = await turns.follow(turn)
    await anext(pages)
    await pages.aclose()
    await asyncio.wait_for(turn.running.ended(), 10)


async def test_the_beginning_and_the_end_of_a_turn_are_rung_in_its_process(turns, agent, user):
    home = (await user.conversations.create()).id

    def waiter():
        return turns.watch.register(user, home, lambda _: False, longest=None)

    beginning = waiter()
    turn = await ask(turns, user, conversation_id=home)
    ending = waiter()
    assert (beginning.woken.done(), ending.woken.done()) == (True, False)
    agent.say(None)
    await turns.finished(turn)
    await asyncio.wait_for(ending.woken, 10)
    turns.watch.forget(beginning)
    turns.watch.forget(ending)
