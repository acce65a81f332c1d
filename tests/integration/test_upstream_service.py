"""A model behind the service: the official SDK in front, a scripted server behind, everything stored between."""

import asyncio
import contextlib
import shutil
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import pytest_asyncio

from hansard.config import Settings
from tests.api.live import SECRET, LiveServer, Person, serving
from tests.support.scripted_upstream import (
    USAGE,
    Answer,
    Exchange,
    ScriptedUpstream,
    refusal,
    responses_message,
    responses_stream,
    scripted_upstream,
    stream,
)
from tests.support.upstream_talk import APIS, Api

TEXT = "Bäume wachsen 🌳"


@pytest_asyncio.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with scripted_upstream() as found:
        yield found


@pytest.fixture
def database_file(sqlite_template: Path, tmp_path: Path) -> Callable[[], str]:
    """Make a migrated file."""

    def make() -> str:
        path = tmp_path / f"{uuid.uuid4()}.db"
        shutil.copy(sqlite_template, path)
        return f"sqlite:///{path}"

    return make


Serve = Callable[..., Awaitable[LiveServer]]


@pytest_asyncio.fixture
async def serve(database_file: Callable[[], str]) -> AsyncIterator[Serve]:
    """Serve with these settings; starting and stopping leave the loop to the upstream, which lives in it."""
    async with contextlib.AsyncExitStack() as stack:

        async def begin(upstream: ScriptedUpstream, **settings: Any) -> LiveServer:
            values = {
                "DATABASE_URL": database_file(),
                "JWT_SECRET_KEY": SECRET,
                "upstream_base_url": upstream.url,
                "upstream_models": "large, small",
                **settings,
            }
            running = serving(Settings.model_validate(values))
            live = await asyncio.to_thread(running.__enter__)
            stack.push_async_callback(asyncio.to_thread, running.__exit__, None, None, None)
            return live

        yield begin


@pytest.fixture(params=APIS, ids=str)
def api(request: pytest.FixtureRequest) -> Api:
    found: Api = request.param
    return found


async def test_a_streamed_answer_is_stored_as_it_was_said(upstream: ScriptedUpstream, serve: Serve, api: Api):
    live = await serve(upstream, upstream_api=api.name)
    upstream.on(api.path, *[stream(api.whole(api.message(TEXT)), size=7)] * 2)
    async with live.newcomer().async_sdk() as client:
        home = (await client.conversations.create(items=[{"role": "user", "content": "Once"}])).id
        async with client.responses.stream(model="large", conversation=home, input="Hi") as events:
            said = "".join([event.delta async for event in events if event.type == "response.output_text.delta"])
            response = await events.get_final_response()
        plain = await client.responses.create(conversation=home, input="Again")
        items = [item async for item in client.conversations.items.list(home, order="asc")]
    assert said == response.output_text == plain.output_text == TEXT
    assert response.usage
    assert response.usage.to_dict() == USAGE
    assert [item.to_dict()["content"][0]["text"] for item in items] == ["Once", "Hi", TEXT, "Again", TEXT]  # type: ignore[index] # every item is a message
    assert [asked.body["model"] for asked in upstream.asked] == ["large", "large"]
    assert [texts_of(asked.body) for asked in upstream.asked] == [["Once", "Hi"], ["Once", "Hi", TEXT, "Again"]]


def texts_of(body: dict[str, Any]) -> list[str]:
    """The words that a request tells."""
    told = body.get("messages") or body["input"]
    contents = [message["content"] for message in told]
    return [content if isinstance(content, str) else content[0]["text"] for content in contents]


async def test_models_that_are_not_allowed_do_not_exist_and_the_assistant_stays(
    upstream: ScriptedUpstream, serve: Serve
):
    live = await serve(upstream)
    async with live.newcomer().async_sdk() as client:
        with pytest.raises(openai.BadRequestError, match="'huge' does not exist") as caught:
            await client.responses.create(model="huge", input="Hi")
        assert caught.value.code == "model_not_found"
        assert (await client.responses.create(model="offline", input="help")).output_text
    assert upstream.asked == []


async def test_the_model_manages_the_users_tasks(upstream: ScriptedUpstream, serve: Serve, api: Api):
    live = await serve(upstream, upstream_api=api.name)
    upstream.on(api.path, stream(api.whole(api.call("add_task", '{"title": "Buy milk"}'))))
    upstream.on(api.path, stream(api.whole(api.message("Added."))))
    ann = live.newcomer()
    async with ann.async_sdk() as client:
        response = await client.responses.create(input="Buy milk, please")
    assert [item.type for item in response.output] == ["function_call", "function_call_output", "message"]
    tasks = (await asyncio.to_thread(ann.http.get, "/api/tasks")).json()
    assert "Buy milk" in str(tasks)


async def test_a_clients_call_of_its_own_tool_stays_open_for_the_client(
    upstream: ScriptedUpstream, serve: Serve, api: Api
):
    live = await serve(upstream, upstream_api=api.name)
    upstream.on(api.path, stream(api.whole(api.call("add_task", "{}"))), stream(api.whole(api.message("Thanks."))))
    tools: Any = [{"type": "function", "name": "add_task", "parameters": {"type": "object"}, "strict": False}]
    async with live.newcomer().async_sdk() as client:
        home = (await client.conversations.create()).id
        called = await client.responses.create(conversation=home, input="Add it", tools=tools)
        answer: Any = [{"type": "function_call_output", "call_id": "call_1", "output": "added over there"}]
        thanked = await client.responses.create(conversation=home, input=answer, tools=tools)
    assert [item.type for item in called.output] == ["function_call"]
    assert thanked.output_text == "Thanks."
    assert "added over there" in str(upstream.asked[1].body)


async def test_only_as_much_is_shown_as_the_operator_allows(upstream: ScriptedUpstream, serve: Serve):
    live = await serve(upstream, history_items=3, history_tokens=300)
    upstream.on("responses", *[stream(responses_stream(responses_message("x")))] * 2)
    async with live.newcomer().async_sdk() as client:
        for before in ([*"abcde"], ["x" * 3000, "y"]):
            items: Any = [{"role": "user", "content": text} for text in before]
            home = (await client.conversations.create(items=items)).id
            await client.responses.create(conversation=home, input="Hi")
    assert [texts_of(asked.body) for asked in upstream.asked] == [["c", "d", "e", "Hi"], ["y", "Hi"]]


async def test_a_failed_model_is_a_failed_response_and_the_conversation_goes_on(
    upstream: ScriptedUpstream, serve: Serve, api: Api
):
    live = await serve(upstream, upstream_api=api.name)
    half = stream(api.message("Half an answer")[:4], done=False)
    upstream.on(api.path, half, refusal(500), stream(api.whole(api.message("whole"))))
    async with live.newcomer().async_sdk() as client:
        home = (await client.conversations.create()).id
        broken, refused, fine = [await client.responses.create(conversation=home, input="Hi") for _ in range(3)]
    assert [one.status for one in (broken, refused, fine)] == ["failed", "failed", "completed"]
    assert broken.error
    assert "broke off" in broken.error.message
    assert "Half an answer".startswith(broken.output_text)
    assert texts_of(upstream.asked[2].body) == ["Hi", broken.output_text, "Hi", "Hi"]


async def test_a_cancelled_response_asks_no_more_of_the_model(upstream: ScriptedUpstream, serve: Serve, api: Api):
    said = asyncio.Event()

    async def endless(exchange: Exchange) -> None:
        await exchange.head()
        await exchange.events(api.message("Once upon a time")[:4])
        said.set()
        await exchange.asked.gone.wait()

    live = await serve(upstream, upstream_api=api.name)
    upstream.on(api.path, endless)
    async with live.newcomer().async_sdk() as client:
        response = await client.responses.create(input="Tell me", background=True)
        await said.wait()
        cancelled = await client.responses.cancel(response.id)
    assert cancelled.status == "cancelled"
    await upstream.asked[0].gone.wait()


def relay(live: LiveServer, person: Person) -> Answer:
    """A proxy: ask a service of ours in its own name."""

    async def answer(exchange: Exchange) -> None:
        headers = {"x-hansard-via": exchange.asked.headers["x-hansard-via"], "authorization": f"Bearer {person.key}"}
        async with httpx.AsyncClient(timeout=30, verify=False) as client:
            got = await client.post(f"{live.url}{exchange.asked.path}", json=exchange.asked.body, headers=headers)
        await exchange.head(got.status_code, got.headers["content-type"])
        await exchange.write(got.content)
        await exchange.end()

    return answer


async def test_an_upstream_that_leads_back_here_is_refused_whatever_is_between(
    upstream: ScriptedUpstream, serve: Serve
):
    live = await serve(upstream)
    ann = live.newcomer()
    upstream.on("responses", *[relay(live, ann)] * 5)
    async with ann.async_sdk() as client:
        response = await client.responses.create(input="Hi")
    assert response.error
    assert "its own model's server" in response.error.message
    assert len(upstream.asked) == 1


async def test_neither_can_two_services_ask_each_other_in_a_circle(upstream: ScriptedUpstream, serve: Serve):
    async with scripted_upstream() as other:
        here, there = await serve(upstream), await serve(other)
        upstream.on("responses", *[relay(there, there.newcomer())] * 5)
        other.on("responses", *[relay(here, here.newcomer())] * 5)
        async with here.newcomer().async_sdk() as client:
            response = await client.responses.create(input="Hi")
        assert response.error
        assert "its own model's server" in response.error.message
        assert (len(upstream.asked), len(other.asked)) == (1, 1)


async def test_a_service_may_be_the_model_of_another(upstream: ScriptedUpstream, serve: Serve):
    async with scripted_upstream() as models:
        here, there = await serve(upstream), await serve(models)
        upstream.on("responses", relay(there, there.newcomer()))
        models.on("responses", stream(responses_stream(responses_message(TEXT))))
        async with here.newcomer().async_sdk() as client:
            response = await client.responses.create(input="Hi")
    assert response.output_text == TEXT
