"""A turn goes on without its client, is read from anywhere, and outlives its process: nothing is lost or said twice."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from hansard.agents.events import Answer
from hansard.agents.protocol import AgentRequest, Event, Outcome, Tool
from hansard.database import open_database
from hansard.errors import ConversationLocked, IdempotencyConflict, InvalidInput, NotFound, ShuttingDown
from hansard.models import EventBatch, RequestKey, TurnCreate
from hansard.services import running
from hansard.services.beginning import TurnRequest
from hansard.services.channel import UNSTORED_EVENTS, StreamEvent
from hansard.services.history import INTERRUPTED
from hansard.services.keeper import Pace
from hansard.services.responses import stored_request
from hansard.services.transcript import Transcript
from hansard.services.turns import Turn, Turns
from hansard.store.contract import UserStore
from hansard.store.sql import SqlStore
from hansard.utils.ids import new_uuid
from tests.support.agents import DONE, Prompted, Scripted, echo, pieces, user_says

pytestmark = pytest.mark.asyncio(loop_scope="module")

PACE = Pace(lease_seconds=15, batch_seconds=0.01, patience_seconds=20)


def turns_with(agent, *, pace: Pace = PACE, tools: tuple[Tool, ...] = ()) -> Turns:
    return Turns({"m": agent}, default_model="m", pace=pace, tools_for=lambda _: tools)


@pytest.fixture
def agent() -> Prompted:
    return Prompted()


@pytest_asyncio.fixture(loop_scope="module")
async def turns(store: SqlStore, agent: Prompted) -> AsyncIterator[Turns]:
    """Who runs turns here."""
    made = turns_with(agent)
    yield made
    agent.say(None)
    await made.aclose(grace_seconds=0)


@pytest_asyncio.fixture(loop_scope="module")
async def elsewhere(store: SqlStore, user: UserStore, database_url: str) -> AsyncIterator[tuple[Turns, UserStore]]:
    """Another process, as far as the first can tell: with turns and a database of its own."""
    database = await open_database(database_url)
    other = turns_with(Scripted(echo))
    yield other, SqlStore(database).for_user(user.user_id)
    await other.aclose(grace_seconds=0)
    await database.close()


async def ask(turns: Turns, user: UserStore, **more) -> Turn:
    home = more.pop("conversation_id", None) or (await user.conversations.create()).id
    return await turns.begin(user, TurnRequest([user_says("hello")], conversation_id=home, **more))


async def told(turns: Turns, turn: Turn, *, after: int = -1) -> list[StreamEvent]:
    return [event async for page in await turns.follow(turn, after=after) for event in page]


async def stored(user: UserStore, turn: Turn, *words: str) -> None:
    """Return when these words of the turn are in the database."""
    while True:
        _, batches = await user.turns.events(turn.id)
        if all(f'"{word}"' in "".join(batch.data for batch in batches) for word in words):
            return
        await asyncio.sleep(0.005)


async def crash(turns: Turns, observer, turn: Turn) -> None:
    """End a turn as a dying process does, without a word, and let its lease run out."""
    for task in list(turns._roster.tasks):
        task.cancel()
    await asyncio.gather(*turns._roster.tasks, return_exceptions=True)
    expire(observer, turn)


def expire(observer, turn: Turn) -> None:
    past = "2020-01-01 00:00:00" if "Sqlite" in type(observer).__name__ else "2020-01-01 00:00:00+00"
    where = "WHERE id = ?"
    id_ = turn.id.hex if "Sqlite" in type(observer).__name__ else turn.id
    observer.execute(f"UPDATE turns SET lease_expires_at = ? {where}", past, id_)


def text_of(response: dict) -> str:
    return "".join(part["text"] for item in response["output"] if item["type"] == "message" for part in item["content"])


async def home_of(user: UserStore, turn: Turn) -> UUID:
    return (await user.turns.get(turn.id)).conversation_id


async def test_events_are_numbered_without_a_gap_and_read_the_same_from_memory_and_from_the_database(
    turns, agent, user, elsewhere
):
    turn = await ask(turns, user)
    listening = asyncio.create_task(told(turns, turn))
    agent.say("Good ", "morning", None)
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


async def test_a_turn_is_stopped_from_another_process_and_keeps_what_it_said(store, user, elsewhere):
    other, there = elsewhere
    agent = Prompted()
    turns = turns_with(agent, pace=Pace(lease_seconds=0.6, batch_seconds=0.01))
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


async def test_events_that_are_no_longer_kept_are_refused_and_the_response_stays(
    turns, agent, user, elsewhere, observer
):
    other, there = elsewhere
    agent.say("Hello", None)
    turn = await ask(turns, user)
    response = await turns.finished(turn)
    forgotten = turn.id.hex if "Sqlite" in type(observer).__name__ else turn.id
    observer.execute("DELETE FROM turn_events WHERE turn_id = ?", forgotten)
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
    turns = turns_with(Scripted(echo), pace=Pace(batch_seconds=5))
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
