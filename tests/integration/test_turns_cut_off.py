"""A turn outlives its process: whoever comes across it settles it, and who lost its lease writes nothing."""

import asyncio
import json
from collections.abc import AsyncGenerator
from uuid import uuid4

import pytest

from hansard.agents.events import Answer
from hansard.agents.protocol import AgentRequest, Event, Outcome, Tool
from hansard.models import EventBatch, TurnCreate
from hansard.services.beginning import TurnRequest
from hansard.services.channel import UNSTORED_EVENTS
from hansard.services.history import INTERRUPTED
from hansard.services.responses import stored_request
from hansard.services.transcript import Transcript
from hansard.services.turns import Turn
from hansard.utils.ids import new_uuid
from tests.support.agents import DONE, Prompted, Scripted, user_says
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
    agent.say("after", None)
    heard = await listening
    assert (heard[-1].type, heard[-1].data) == (before[-1].type, before[-1].data)
    assert [event.sequence for event in heard] == sorted({event.sequence for event in heard})
    assert await told(other, await other.find(there, turn.id)) == before
    assert await there.items.last(await home_of(there, turn), 10) == items
