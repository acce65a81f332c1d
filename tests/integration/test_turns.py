"""A turn keeps the user's words before the agent speaks, and afterwards what it said, whatever went wrong."""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from uuid import UUID

import pytest

from hansard.agents.events import Answer
from hansard.agents.protocol import AgentRequest, Event, Outcome, Tool
from hansard.errors import InvalidInput, NotFound
from hansard.models.conversation import ConversationCreate
from hansard.models.verbatim import message_item
from hansard.services.beginning import TurnRequest
from hansard.services.history import INTERRUPTED, Budget
from hansard.services.turns import Turns
from hansard.store.contract import UserStore
from hansard.store.sql import SqlStore
from hansard.utils.ids import new_uuid, parse
from tests.support.agents import DONE, Script, Scripted, echo, pieces, user_says

pytestmark = pytest.mark.asyncio(loop_scope="module")


def turns_of(script: Script, *, tools: list[Tool] | None = None, history: Budget | None = None) -> Turns:
    return Turns(
        {"scripted": Scripted(script)},
        default_model="scripted",
        tools_for=lambda _: tools or [],
        history=history,
    )


async def texts(user: UserStore, conversation_id: UUID) -> list[str]:
    return [read.content for read in await user.items.last(conversation_id, 1000)]


async def test_question_and_answer_are_stored_in_order_and_the_response_names_them(store, user) -> None:
    home = (await user.conversations.create()).id
    request = TurnRequest(items=[user_says("hello"), user_says("world")], conversation_id=home)
    response = await turns_of(echo).run(user, request)
    assert await texts(user, home) == ["hello", "world", "You said: world"]
    [shown] = response["output"]
    named = parse(shown["id"], prefix="msg")
    assert named
    assert (await user.items.get(home, named.raw)).position == 3
    assert response["conversation"] == {"id": (await user.conversations.get(home)).public_id}


READ_ELSEWHERE = """
import asyncio, json, sys
from uuid import UUID
from hansard import open_store

async def main(url, user_id, home):
    async with open_store(url, migrate=False) as store:
        user = store.for_user(user_id)
        turn = await user.turns.find_active(UUID(home))
        items = await user.items.last(UUID(home), 100)
        print(json.dumps([[item.content for item in items], turn.status]))

asyncio.run(main(*sys.argv[1:]))
"""


async def test_what_the_user_said_is_durable_before_the_agent_is_asked(store, user, database_url) -> None:
    home = (await user.conversations.create()).id
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def waiting(_: AgentRequest) -> AsyncGenerator[Event | Outcome, None]:
        asked.set()
        await go_on.wait()
        yield DONE

    request = TurnRequest(items=[user_says("hello")], conversation_id=home)
    running = asyncio.create_task(turns_of(waiting).run(user, request))
    await asked.wait()
    arguments = [sys.executable, "-c", READ_ELSEWHERE, database_url, user.user_id, str(home)]
    other = await asyncio.create_subprocess_exec(*arguments, stdout=asyncio.subprocess.PIPE)
    seen, _ = await other.communicate()
    assert json.loads(seen) == [["hello"], "in_progress"]
    go_on.set()
    await running


async def test_a_turn_runs_to_its_end_when_nobody_waits_for_it_any_more(store, user) -> None:
    home = (await user.conversations.create()).id
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def waiting(request: AgentRequest) -> AsyncGenerator[Event | Outcome, None]:
        asked.set()
        await go_on.wait()
        async for event in echo(request):
            yield event

    turns = turns_of(waiting)
    request = TurnRequest(items=[user_says("hello")], conversation_id=home)
    client = asyncio.create_task(turns.run(user, request))
    await asked.wait()
    client.cancel()
    with pytest.raises(asyncio.CancelledError):
        await client
    go_on.set()
    await turns.aclose()
    assert await texts(user, home) == ["hello", "You said: hello"]


async def breaking(_: AgentRequest) -> AsyncGenerator[Event | Outcome, None]:
    answer = Answer()
    for event in answer.call(call_id="call_1", name="own_tool", arguments="{}"):
        yield event
    async for event in answer.message(pieces("Half a ", "sentence", " more")):
        if event.get("delta") == " more":
            raise RuntimeError("secret detail")
        yield event


async def test_an_agent_that_breaks_leaves_what_it_said_and_says_that_it_failed(store, user) -> None:
    home = (await user.conversations.create()).id

    async def never(_: dict) -> dict:
        raise AssertionError

    tool = Tool("own_tool", "", {}, never)
    request = TurnRequest(items=[user_says("hello")], conversation_id=home)
    response = await turns_of(breaking, tools=[tool]).run(user, request)
    assert response["status"] == "failed"
    assert response["error"]["code"] == "server_error"
    assert "secret detail" not in str(response)
    assert response["completed_at"] is None
    _, call, said, output = await user.items.last(home, 10)
    assert call.item["call_id"] == output.item["call_id"] == "call_1"
    assert output.item["output"] == INTERRUPTED
    assert (said.content, said.status) == ("Half a sentence", "incomplete")
    assert [item["type"] for item in response["output"]] == ["function_call", "message", "function_call_output"]


async def long_winded(_: AgentRequest) -> AsyncGenerator[Event | Outcome, None]:
    answer = Answer()
    async for event in answer.message(pieces("first")):
        yield event
    async for event in answer.message(pieces(*["é" * 1000] * 100)):
        yield event
    yield DONE


async def in_small_pieces(_: AgentRequest) -> AsyncGenerator[Event | Outcome, None]:
    async for event in Answer().message(pieces(*["four"] * 16_000)):
        yield event
    yield DONE


async def all_at_once(_: AgentRequest) -> AsyncGenerator[Event | Outcome, None]:
    answer = Answer()
    async for event in answer.message(pieces("first")):
        yield event
    whole = message_item("assistant", "completed", "é" * 100_000)
    yield {"type": "response.output_item.added", "output_index": 1, "item": {**whole, "content": []}}
    yield {"type": "response.output_item.done", "output_index": 1, "item": whole}
    yield DONE


@pytest.mark.parametrize("script, kept", [(long_winded, 32), (all_at_once, 0)])
async def test_an_answer_too_large_to_store_is_broken_off_before_it_is_and_kept_so_far(
    database, user, script, kept
) -> None:
    narrow = SqlStore(database, max_item_bytes=64 * 1024).for_user(user.user_id)
    home = (await narrow.conversations.create()).id
    response = await turns_of(script).run(narrow, TurnRequest(items=[user_says("hello")], conversation_id=home))
    assert response["status"] == "incomplete"
    assert response["incomplete_details"]["message"] == "The answer became too long."
    said = await narrow.items.last(home, 100)
    assert [item.content for item in said] == ["hello", "first", "é" * 1000 * kept]
    assert [item.status for item in said] == ["completed", "completed", "incomplete"]


async def test_an_answer_is_weighed_as_it_is_stored_and_not_by_its_pieces(database, user) -> None:
    narrow = SqlStore(database, max_item_bytes=64 * 1024).for_user(user.user_id)
    home = (await narrow.conversations.create()).id
    request = TurnRequest(items=[user_says("hello")], conversation_id=home)
    response = await turns_of(in_small_pieces).run(narrow, request)
    assert response["status"] == "completed"
    [_, said] = await narrow.items.last(home, 2)
    assert said.content == "four" * 16_000


async def test_after_a_failure_the_conversation_goes_on(store, user) -> None:
    home = (await user.conversations.create()).id
    request = TurnRequest(items=[user_says("hello")], conversation_id=home)
    await turns_of(breaking).run(user, request)
    agent = Scripted(echo)
    again = Turns({"m": agent}, default_model="m")
    response = await again.run(user, request)
    assert response["status"] == "completed"
    shown = agent.asked[0].history
    assert {item["call_id"] for item in shown if item["type"] == "function_call"} == {
        item["call_id"] for item in shown if item["type"] == "function_call_output"
    }


async def silent(_: AgentRequest) -> AsyncGenerator[Event | Outcome, None]:
    return
    yield DONE


async def lawless(_: AgentRequest) -> AsyncGenerator[Event | Outcome, None]:
    yield {"type": "response.output_text.delta", "output_index": 7, "content_index": 0, "delta": "x"}
    yield DONE


@pytest.mark.parametrize("script,said", [(silent, "without saying how"), (lawless, "failed")])
async def test_an_agent_that_does_not_keep_the_rules_has_failed(store, user, script, said) -> None:
    home = (await user.conversations.create()).id
    request = TurnRequest(items=[user_says("hello")], conversation_id=home)
    response = await turns_of(script).run(user, request)
    assert (response["status"], response["output"]) == ("failed", [])
    assert said in response["error"]["message"]
    assert await texts(user, home) == ["hello"]


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome("incomplete", usage={"total_tokens": 3}, incomplete_details={"reason": "max_output_tokens"}),
        Outcome.failed("Too many requests", code="rate_limit_exceeded"),
    ],
)
async def test_the_outcome_is_told_as_the_agent_told_it(store, user, outcome) -> None:
    async def ending(_: AgentRequest) -> AsyncGenerator[Event | Outcome, None]:
        yield outcome

    response = await turns_of(ending).run(user, TurnRequest(items=[user_says("hello")]))
    assert response["status"] == outcome.status
    assert response["usage"] == outcome.usage
    assert response["error"] == outcome.error
    assert response["incomplete_details"] == outcome.incomplete_details


async def test_the_agent_is_shown_the_newest_items_and_no_half_of_a_call(store, user) -> None:
    home = (await user.conversations.create()).id
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", "status": "completed"}
    output = {"type": "function_call_output", "call_id": "c", "output": "1", "status": "completed"}
    await user.items.append(home, [user_says("old"), call, output, user_says("one"), user_says("two")])
    for limit, shown in [(3, ["one", "two", "new"]), (4, ["f\n{}", "1", "one", "two", "new"])]:
        agent = Scripted(echo)
        turns = Turns({"m": agent}, default_model="m", history=Budget(items=limit))
        fresh = (await user.conversations.create(items=[read.item for read in await user.items.last(home, 9)])).id
        await turns.run(user, TurnRequest(items=[user_says("new")], conversation_id=fresh))
        assert [text_of(item) for item in agent.asked[0].history] == shown


def text_of(item: dict) -> str:
    if item["type"] == "function_call":
        return f"{item['name']}\n{item['arguments']}"
    return str(item["output"] if "output" in item else item["content"][0]["text"])


async def test_the_agent_gets_the_parameters_and_the_tools_of_the_user(store, user) -> None:
    agent = Scripted(echo)

    def tools_for(owner: UserStore) -> list[Tool]:
        async def whose(_: dict) -> dict:
            return {"user": owner.user_id}

        return [Tool("whose", "", {}, whose)]

    turns = Turns({"m": agent}, default_model="m", tools_for=tools_for)
    await turns.run(user, TurnRequest(items=[user_says("x")], parameters={"temperature": 0.5, "new": [1]}))
    [asked] = agent.asked
    assert asked.parameters == {"temperature": 0.5, "new": [1]}
    assert await asked.tools[0].call({}) == {"user": user.user_id}


async def test_without_a_conversation_an_unlisted_one_begins(store, user) -> None:
    response = await turns_of(echo).run(user, TurnRequest(items=[user_says("hello")]))
    named = parse(response["conversation"]["id"], prefix="conv")
    assert named
    assert await texts(user, named.uuid) == ["hello", "You said: hello"]
    assert (await user.conversations.list()).data == []


async def test_what_shall_not_be_stored_never_reaches_the_database(store, user, database) -> None:
    sent: list[str] = []
    database.on_statement = sent.append
    request = TurnRequest(items=[user_says("hello")], store=False)
    response = await turns_of(echo).run(user, request)
    assert response["output"][0]["content"][0]["text"] == "You said: hello"
    assert response["conversation"] is None
    assert sent == []


@pytest.mark.parametrize("wrong", ["model", "conversation", "foreign"])
async def test_a_turn_that_cannot_be_is_refused_before_anything_is_stored(store, user, new_user, wrong) -> None:
    owner = new_user()
    homes = {"model": user, "conversation": user, "foreign": owner}
    home = (await homes[wrong].conversations.create(ConversationCreate(title="x"))).id
    request = TurnRequest(
        items=[user_says("hello")],
        model="nobody" if wrong == "model" else None,
        conversation_id=new_uuid() if wrong == "conversation" else home,
    )

    async def unasked(_: AgentRequest) -> AsyncGenerator[Event | Outcome, None]:
        raise AssertionError
        yield DONE

    with pytest.raises(InvalidInput if wrong == "model" else NotFound):
        await turns_of(unasked).run(user, request)
    assert await texts(homes[wrong], home) == []


async def test_turns_of_many_conversations_run_at_the_same_time(store, user) -> None:
    everybody = asyncio.Event()
    waiting = 0

    async def meeting(request: AgentRequest) -> AsyncGenerator[Event | Outcome, None]:
        nonlocal waiting
        waiting += 1
        if waiting == 20:
            everybody.set()
        await everybody.wait()
        async for event in echo(request):
            yield event

    turns = turns_of(meeting)
    homes = [(await user.conversations.create()).id for _ in range(20)]
    requests = [TurnRequest(items=[user_says(str(home))], conversation_id=home) for home in homes]
    await asyncio.gather(*[turns.run(user, request) for request in requests])
    for home in homes:
        assert await texts(user, home) == [str(home), f"You said: {home}"]
