"""A turn is read from anywhere while it runs and afterwards: each event once, in order, whoever reads how slowly."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace

import pytest

from hansard.agents.events import Answer
from hansard.agents.protocol import AgentRequest, Event, Outcome
from hansard.services import following
from hansard.services.channel import UNSTORED_EVENTS
from tests.support.agents import DONE, Scripted, pieces
from tests.support.turns import PACE, ask, stored, text_of, told, turns_with

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_events_are_numbered_without_a_gap_and_read_the_same_from_memory_and_from_the_database(
    turns, agent, user, elsewhere, monkeypatch
):
    monkeypatch.setattr(following, "_BATCHES", 1)
    turn = await ask(turns, user)
    listening = asyncio.create_task(told(turns, turn))
    agent.say("Good ")
    await stored(user, turn, "Good ")  # as a batch of its own
    agent.say("morning", None)
    live = await listening
    other, there = elsewhere
    again = await other.find(there, turn.id)
    assert [event.sequence for event in live] == list(range(len(live)))
    assert [event.type for event in live[:3]] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
    ]
    assert (live[-1].type, live[-1].final) == ("response.completed", True)
    for after in range(-1, len(live)):
        found = await told(other, again, after=after)
        assert [event[:4] for event in found] == [event[:4] for event in live[after + 1 :]]


async def test_a_reader_in_another_process_follows_while_the_turn_runs(turns, agent, user, elsewhere):
    other, there = elsewhere
    turn = await ask(turns, user)
    agent.say("one ")
    await stored(user, turn, "one ")
    listening = asyncio.create_task(told(other, await other.find(there, turn.id)))
    agent.say("two ", "three ")
    await stored(user, turn, "three ")
    late = asyncio.create_task(told(other, await other.find(there, turn.id), after=4))
    agent.say("four", None)
    events = await listening
    assert [event.sequence for event in events] == list(range(len(events)))
    assert text_of(json.loads(events[-1].data)["response"]) == "one two three four"
    assert await late == events[5:]


async def test_much_that_is_said_at_once_is_shown_to_others_without_a_pause(agent, user):
    turns = turns_with(agent, pace=replace(PACE, lease_seconds=600, batch_seconds=600, batch_bytes=1000))
    turn = await ask(turns, user)
    agent.say("little ", "x" * 1000)
    await asyncio.wait_for(stored(user, turn, "little "), 10)
    agent.say(None)
    await turns.finished(turn)


async def test_readers_in_this_process_need_no_database(turns, agent, user, database):
    turn = await ask(turns, user)
    sent: list[str] = []
    database.on_statement = sent.append
    readers = [asyncio.create_task(told(turns, turn)) for _ in range(20)]
    agent.say("a ", "b ", "c ", None)
    found = await asyncio.gather(*readers)
    assert all(events == found[0] for events in found)
    assert [statement for statement in sent if "FROM turn_events" in statement] == []


async def test_readers_of_a_turn_elsewhere_share_one_query_and_nobody_asks_when_nobody_waits(
    turns, agent, user, elsewhere
):
    other, there = elsewhere
    turn = await ask(turns, user)
    asked: list[str] = []
    polled = asyncio.Event()

    def note(statement: str) -> None:
        if "LEFT OUTER JOIN turns" in statement:
            asked.append(statement)
            polled.set()

    there.scope.database.on_statement = note
    readers = [asyncio.create_task(told(other, await other.find(there, turn.id))) for _ in range(20)]
    await polled.wait()
    # Twenty who ask each for themselves would have done so by now, however long that takes on a busy machine.
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(asked) < len(readers)
    agent.say(None)
    await asyncio.gather(*readers)
    for _ in range(10):
        await asyncio.sleep(0)
    assert other.watch.idle


async def test_a_slow_reader_holds_nobody_up_and_gets_everything(store, user):
    async def talkative(_: AgentRequest) -> AsyncGenerator[Event | Outcome, None]:
        async for event in Answer().message(pieces(*[f"{number} {'x' * 1000}" for number in range(900)])):
            yield event
        yield DONE

    turns = turns_with(Scripted(talkative))
    turn = await ask(turns, user)
    pages = await turns.follow(turn)
    first = await anext(pages)
    await turns.finished(turn)
    assert turn.running is not None
    assert turn.running.channel.since(first[-1].sequence) is None
    events = first + [event async for page in pages for event in page]
    assert [event.sequence for event in events] == list(range(len(events)))
    assert events[-1].final


async def test_an_agent_waits_while_too_much_is_not_stored(store, user, observer):
    said, go = 0, asyncio.Event()

    async def talkative(_: AgentRequest) -> AsyncGenerator[Event | Outcome, None]:
        async def words() -> AsyncIterator[str]:
            nonlocal said
            await go.wait()
            for number in range(3 * UNSTORED_EVENTS):
                said = number
                yield f"{number} "

        async for event in Answer().message(words()):
            yield event
        yield DONE

    turns = turns_with(Scripted(talkative))
    turn = await ask(turns, user)
    await stored(user, turn, "response.content_part.added")
    with observer.holding_writers():
        go.set()
        pages = await turns.follow(turn)
        events = list(await anext(pages))
        while len(events) < UNSTORED_EVENTS:
            events += await anext(pages)
        for _ in range(50):
            await asyncio.sleep(0)
        assert said < 3 * UNSTORED_EVENTS - 1
    events += [event async for page in pages for event in page]
    assert [event.sequence for event in events] == list(range(len(events)))
    assert events[-1].type == "response.completed"


async def test_the_last_event_is_told_only_when_the_end_is_stored(turns, agent, user, observer):
    turn = await ask(turns, user)
    pages = await turns.follow(turn)
    agent.say("Hello")
    await stored(user, turn, "Hello")
    with observer.holding_writers():
        agent.say(None)
        types: list[str] = []
        while "response.output_item.done" not in types:
            types += [event.type for event in await anext(pages)]
        rest = asyncio.create_task(anext(pages))
        await asyncio.to_thread(observer.wait_for_writers)
        for _ in range(50):
            await asyncio.sleep(0)
        assert not rest.done()
        assert (await user.turns.get(turn.id)).running
    assert (await rest)[-1].type == "response.completed"
    await pages.aclose()
