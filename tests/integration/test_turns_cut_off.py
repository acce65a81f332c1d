"""A turn outlives its process: whoever comes across it settles it, and who lost its lease writes nothing."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from hansard.agents.events import Answer
from hansard.agents.protocol import AgentRequest, Event, Outcome, Tool
from hansard.errors import DatabaseUnavailable, OutcomeUnknown
from hansard.models import EventBatch, TurnCreate, TurnEnd
from hansard.models.limits import JsonObject
from hansard.services import settlement
from hansard.services.beginning import TurnRequest
from hansard.services.channel import UNSTORED_EVENTS
from hansard.services.history import INTERRUPTED
from hansard.services.responses import stored_request
from hansard.services.transcript import Transcript
from hansard.services.turns import Turn
from hansard.store.contract import UserStore
from hansard.store.sql import SqlStore
from hansard.utils.ids import new_uuid
from tests.support.agents import DONE, Prompted, Scripted, pieces, user_says
from tests.support.turns import ask, crash, expire, home_of, stored, text_of, told, turns_with

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("access", ["response", "stream", "cancel", "begin", "find", "items", "last"])
async def test_a_turn_whose_process_died_is_settled_by_whoever_comes_across_it(
    turns, agent, user, elsewhere, observer, access
):
    other, there = elsewhere
    turn = await ask(turns, user)
    agent.say("Half a ", "sentence")
    await stored(user, turn, "sentence")
    home = await home_of(user, turn)
    await crash(turns, observer, turn)
    if access == "response":
        await other.response(there, turn.id)
    elif access == "stream":
        await told(other, await other.find(there, turn.id), after=2)
    elif access == "cancel":
        await other.cancel(there, turn.id)
    elif access == "begin":
        assert (await other.run(there, TurnRequest([user_says("again")], conversation_id=home)))[
            "status"
        ] == "completed"
    elif access == "find":
        await other.find(there, turn.id)
    elif access == "last":
        assert (await other.last_response(there, home) or {})["status"] == "incomplete"
    else:
        assert (await there.items.list(home)).unsettled
        await other.settle(there, home)
    response = await other.response(there, turn.id)
    assert response["status"] == ("cancelled" if access == "cancel" else "incomplete")
    assert text_of(response) == "Half a sentence"
    [_, said, *_] = await there.items.last(home, 10)
    assert (said.content, said.status) == ("Half a sentence", "incomplete")
    assert not (await there.items.list(home)).unsettled


async def test_a_settled_stream_ends_and_counts_on_beyond_what_anybody_may_have_seen(
    turns, agent, user, elsewhere, observer
):
    other, there = elsewhere
    turn = await ask(turns, user)
    agent.say("Half")
    await stored(user, turn, "Half")
    last = (await user.turns.get(turn.id)).last_sequence
    await crash(turns, observer, turn)
    events = await told(other, await other.find(there, turn.id))
    numbers = [event.sequence for event in events]
    assert numbers == [*range(last + 1), *range(last + UNSTORED_EVENTS + 1, last + UNSTORED_EVENTS + 3)]
    assert events[-1].type == "response.incomplete"
    for seen in (last, last + 1, last + UNSTORED_EVENTS):
        assert await told(other, await other.find(there, turn.id), after=seen) == events[last + 1 :]
    details = json.loads(events[-1].data)["response"]["incomplete_details"]
    assert details["code"] == "interrupted"


async def test_calls_that_were_left_open_are_closed_and_made_things_keep_their_makers_ids(
    store, user, elsewhere, observer
):
    other, there = elsewhere
    hanging = asyncio.Event()

    async def calling(_: AgentRequest) -> AsyncGenerator[Event | Outcome, None]:
        answer = Answer()
        for event in answer.item({"type": "reasoning", "id": "rs_theirs", "summary": []}):
            yield event
        for event in answer.call(call_id="call_1", name="own_tool", arguments="{}"):
            yield event
        for event in answer.call(call_id="call_2", name="clients_tool", arguments="{}"):
            yield event
        hanging.set()
        await asyncio.Event().wait()
        yield DONE

    async def never(_: dict) -> dict:
        raise AssertionError

    turns = turns_with(Scripted(calling), tools=(Tool("own_tool", "", {}, never),))
    turn = await ask(turns, user)
    await hanging.wait()
    await stored(user, turn, "clients_tool")
    await crash(turns, observer, turn)
    response = await other.response(there, turn.id)
    kinds = [(item["type"], item.get("call_id")) for item in response["output"]]
    assert kinds == [
        ("reasoning", None),
        ("function_call", "call_1"),
        ("function_call", "call_2"),
        ("function_call_output", "call_1"),
    ]
    [_, reasoning, _, _, output] = await there.items.last(await home_of(there, turn), 10)
    assert output.item["output"] == INTERRUPTED
    assert reasoning.item["id"] == "rs_theirs"
    assert "rs_theirs" not in str(await told(other, await other.find(there, turn.id)))


async def test_who_follows_a_turn_of_a_process_that_dies_hears_its_end(turns, agent, user, elsewhere, observer):
    other, there = elsewhere
    turn = await ask(turns, user)
    agent.say("So far")
    await stored(user, turn, "So far")
    listening = asyncio.create_task(told(other, await other.find(there, turn.id)))
    while other.watch.idle:  # noqa: ASYNC110 - nobody is told that somebody waits
        await asyncio.sleep(0)
    await crash(turns, observer, turn)
    events = await asyncio.wait_for(listening, 10)
    assert (events[-1].type, events[-1].final) == ("response.incomplete", True)


async def test_a_long_answer_is_put_together_whole(turns, agent, user, observer, monkeypatch):
    monkeypatch.setattr(settlement, "_BATCHES", 1)
    turn = await ask(turns, user)
    for word in ("Bit ", "by ", "bit"):
        agent.say(word)
        await stored(user, turn, word)
    await crash(turns, observer, turn)
    assert text_of(await turns_with(Prompted()).response(user, turn.id)) == "Bit by bit"


async def test_a_turn_that_lives_is_written_by_who_holds_its_lease_alone(user):
    home = (await user.conversations.create()).id
    asked = stored_request(store=True, metadata={}, parameters={}, own_tools=[])
    new, stranger = TurnCreate(new_uuid(), "m", asked, uuid4(), lease_seconds=600), uuid4()
    begun = (await user.turns.begin(home, new, [user_says("hello")])).turn
    assert await user.turns.take_over(begun.id, stranger, lease_seconds=600) is None
    assert await user.turns.renew(begun.id, stranger, lease_seconds=600) is None
    assert await user.turns.record(begun.id, stranger, EventBatch(2, 2, "[]"), lease_seconds=600) is None
    assert await user.turns.end(begun, stranger, TurnEnd("completed", "{}", 2), [user_says("theirs")]) is None
    assert await user.turns.get(begun.id) == begun
    assert [item.content for item in await user.items.last(home, 10)] == ["hello"]


async def test_nothing_that_was_stored_can_lock_a_conversation(store, user, observer):
    home = (await user.conversations.create()).id
    asked = stored_request(store=True, metadata={}, parameters={}, own_tools=[])
    new = TurnCreate(new_uuid(), "m", asked, uuid4(), lease_seconds=15)
    begun = (await user.turns.begin(home, new, [user_says("hello")])).turn
    senseless = EventBatch(2, 2, '[{"type":"response.output_text.delta","output_index":0,"delta":5}]')
    await user.turns.record(begun.id, new.lease_token, senseless, lease_seconds=15)
    expire(observer, Turn(user, begun.id, None))
    response = await turns_with(Prompted()).response(user, begun.id)
    assert (response["status"], response["output"]) == ("incomplete", [])
    assert await user.turns.find_active(home) is None


async def test_a_mistake_of_ours_ends_the_turn(turns, agent, user, monkeypatch):
    def mistaken(*_: object) -> None:
        monkeypatch.undo()
        raise KeyError("something of ours")

    turn = await ask(turns, user)
    monkeypatch.setattr(Transcript, "settle", mistaken)
    agent.say("a ", None)
    response = await turns.finished(turn)
    assert (response["status"], response["output"]) == ("failed", [])
    events = await told(turns, turn)
    assert [event.sequence for event in events] == list(range(len(events)))
    assert json.loads(events[-1].data)["response"] == response


async def test_a_process_that_lost_its_lease_writes_nothing_and_its_reader_learns_the_end(
    turns, agent, user, elsewhere, observer
):
    other, there = elsewhere
    turn = await ask(turns, user)
    agent.say("Before ")
    await stored(user, turn, "Before ")
    listening = asyncio.create_task(told(turns, turn))
    expire(observer, turn)
    await other.response(there, turn.id)
    before = await told(other, await other.find(there, turn.id))
    items = await there.items.last(await home_of(there, turn), 10)
    agent.say("after")  # and it is not waited for its end
    heard = await asyncio.wait_for(listening, 10)
    assert (heard[-1].type, heard[-1].data) == (before[-1].type, before[-1].data)
    assert [event.sequence for event in heard] == sorted({event.sequence for event in heard})
    assert await told(other, await other.find(there, turn.id)) == before
    assert await there.items.last(await home_of(there, turn), 10) == items


async def test_what_cannot_be_kept_of_a_lost_turn_does_not_keep_it_from_ending(turns, agent, user, database, observer):
    turn = await ask(turns, user)
    agent.say("x" * 2000)
    await stored(user, turn, "x" * 2000)
    await crash(turns, observer, turn)
    narrow = SqlStore(database, max_item_bytes=1000).for_user(user.user_id)
    response = await turns_with(Prompted()).response(narrow, turn.id)
    assert (response["status"], response["output"]) == ("failed", [])
    assert "cannot be stored" in response["error"]["message"]
    assert await user.turns.find_active(await home_of(user, turn)) is None


class Doubtful:
    """Be a user's store whose turns are in doubt once, as one operation of theirs ends: ``happens`` is done instead."""

    def __init__(self, user: UserStore, name: str, happens: Callable[[Callable[[], Awaitable]], Awaitable]) -> None:
        self._user = user
        self._name = name
        self._happens = [happens]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._user, name)

    @property
    def turns(self) -> Any:
        turns = self._user.turns

        async def operate(*args: Any, **named: Any) -> object:
            if not self._happens:
                return await getattr(turns, self._name)(*args, **named)
            await self._happens.pop()(lambda: getattr(turns, self._name)(*args, **named))
            raise OutcomeUnknown("the connection was lost")

        kept = {name: getattr(turns, name) for name in dir(turns) if not name.startswith("_")}
        return SimpleNamespace(**kept | {self._name: operate})


@pytest.mark.parametrize("is_stored", [True, False])
async def test_a_turn_whose_beginning_is_in_doubt_begins_once(turns, agent, user, is_stored):
    async def begin(really: Callable[[], Awaitable]) -> None:
        if is_stored:
            await really()

    home = (await user.conversations.create()).id
    turn = await ask(turns, Doubtful(user, "begin", begin), conversation_id=home)
    agent.say("Good morning", None)
    assert (await turns.finished(turn))["status"] == "completed"
    assert [item.content for item in await user.items.last(home, 10)] == ["hello", "Good morning"]


@pytest.mark.parametrize("is_stored", [True, False])
async def test_a_turn_whose_end_is_in_doubt_ends_once(turns, agent, user, is_stored):
    async def end(really: Callable[[], Awaitable]) -> None:
        if is_stored:
            await really()

    turn = await ask(turns, Doubtful(user, "end", end))
    agent.say("Good morning", None)
    response = await asyncio.wait_for(turns.finished(turn), 10)
    assert (response["status"], text_of(response)) == ("completed", "Good morning")
    items = await user.items.last(await home_of(user, turn), 10)
    assert [item.content for item in items] == ["hello", "Good morning"]
    assert await turns_with(Prompted()).response(user, turn.id) == response


async def test_an_end_in_doubt_that_was_somebody_elses_is_not_told_as_ours(turns, agent, user, elsewhere, observer):
    other, there = elsewhere

    async def end(_: object) -> None:
        expire(observer, turn)
        await other.response(there, turn.id)

    turn = await ask(turns, Doubtful(user, "end", end))
    agent.say("Good morning", None)
    response = await asyncio.wait_for(turns.finished(turn), 10)
    assert response["status"] == "incomplete"
    assert response == await other.response(there, turn.id)


async def test_a_batch_in_doubt_is_stored_once_although_more_was_said_meanwhile(turns, agent, user, elsewhere):
    other, there = elsewhere

    async def record(really: Callable[[], Awaitable]) -> None:
        await really()
        assert turn.running is not None
        agent.say("morning", None)
        await turn.running.channel.beyond(turn.running.channel.last)

    turn = await ask(turns, Doubtful(user, "record", record))
    agent.say("Good ")
    live = await asyncio.wait_for(told(turns, turn), 10)
    assert await told(other, await other.find(there, turn.id)) == [event._replace(maker_id=None) for event in live]


@pytest.mark.parametrize("lost, said", [(DatabaseUnavailable, "done"), (OutcomeUnknown, "OutcomeUnknown")])
async def test_a_tool_is_tried_again_when_it_did_nothing_and_not_when_nobody_knows(user, lost, said):
    calls: list[JsonObject] = []

    async def act(arguments: JsonObject) -> JsonObject:
        calls.append(arguments)
        if len(calls) == 1:
            raise lost("the connection was lost")
        return {"output": "done"}

    async def acting(request: AgentRequest) -> AsyncGenerator[Event | Outcome, None]:
        try:
            told = (await request.tools[0].call({"number": 1}))["output"]
        except OutcomeUnknown as error:
            told = type(error).__name__
        async for event in Answer().message(pieces(told)):
            yield event
        yield DONE

    turns = turns_with(Scripted(acting), tools=(Tool("act", "", {}, act),))
    response = await turns.finished(await ask(turns, user))
    assert text_of(response) == said
    assert calls == [{"number": 1}] * (2 if said == "done" else 1)
