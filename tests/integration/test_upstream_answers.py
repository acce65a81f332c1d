"""What a model says over either API becomes the same turn, however its bytes arrive."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
import pytest_asyncio

from hansard.agents.protocol import AgentRequest, Outcome
from hansard.agents.upstream import endpoint
from hansard.agents.upstream.agent import UpstreamAgent
from hansard.agents.upstream.endpoint import Upstream
from hansard.models.verbatim import message_item
from tests.support.scripted_upstream import (
    USAGE,
    Answer,
    Exchange,
    ScriptedUpstream,
    chat_delta,
    chat_message,
    chat_stream,
    refusal,
    responses_message,
    responses_stream,
    scripted_upstream,
    spell,
    stream,
)
from tests.support.upstream_talk import APIS, KEY, RESPONSES, Api, agent_of, asking, hear, hear_items

TEXT = "Grüße, 世界! 👩‍🚀"


@pytest.fixture(params=APIS, ids=str)
def api(request: pytest.FixtureRequest) -> Api:
    found: Api = request.param
    return found


@pytest_asyncio.fixture
async def server() -> AsyncIterator[ScriptedUpstream]:
    async with scripted_upstream() as found:
        yield found


@pytest.mark.parametrize("size", [None, 1, 2, 3, 7, 64])
async def test_an_answer_is_the_same_wherever_its_bytes_are_cut(server: ScriptedUpstream, api: Api, size: int | None):
    server.on(api.path, stream(api.whole(api.message(TEXT)), size=size))
    async with agent_of(server, api.name) as agent:
        heard = await hear(agent, asking())
    assert (heard.deltas(), heard.texts) == (TEXT, [TEXT])
    assert heard.outcome == Outcome("completed", usage=USAGE)
    assert [item["status"] for item in heard.output] == ["completed"]


async def test_a_plain_answer_needs_no_copy_of_its_json(server: ScriptedUpstream):
    server.on("chat/completions", stream(chat_stream(chat_message(TEXT))))
    async with agent_of(server, "chat") as agent:
        heard = await hear(agent, asking())
    [item] = heard.output
    del item["id"]
    assert list(item.items()) == list(message_item("assistant", "completed", TEXT).items())


async def test_the_request_says_what_was_asked_with_the_key_and_nothing_of_ours(server: ScriptedUpstream, api: Api):
    server.on(api.path, stream(api.whole(api.message("x"))))
    ours: dict[str, Any] = {
        "conversation": "c",
        "previous_response_id": "r",
        "background": True,
        "store": True,
        "stream": False,
    }
    async with agent_of(server, api.name) as agent:
        await hear(agent, asking(temperature=0.5, instructions="Be brief.", future_parameter={"a": [1]}, **ours))
    [asked] = server.asked
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.body["model"] == "m"
    assert asked.body["stream"] is True
    assert (asked.body["temperature"], asked.body["future_parameter"]) == (0.5, {"a": [1]})
    assert {"conversation", "previous_response_id", "background"} & set(asked.body) == set()
    assert asked.body.get("store") in {False, None}


async def test_what_others_set_for_the_sdk_of_openai_is_not_read(
    server: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-ambient")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    server.on("responses", stream(responses_stream(responses_message("x"))))
    async with aclosing(Upstream(server.url, name="0" * 32)) as upstream:
        heard = await hear(UpstreamAgent(upstream), asking())
    assert heard.texts == ["x"]
    assert "authorization" not in server.asked[0].headers


async def test_a_server_without_responses_is_asked_by_chat_completions_from_then_on(server: ScriptedUpstream):
    server.on("chat/completions", *[stream(chat_stream(chat_message("x")))] * 2)
    async with agent_of(server) as agent:
        assert (await hear(agent, asking())).texts == ["x"]
        assert (await hear(agent, asking())).texts == ["x"]
    assert [asked.path for asked in server.asked] == ["/v1/responses", "/v1/chat/completions", "/v1/chat/completions"]


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_without_either_api_the_answer_says_so(server: ScriptedUpstream, status: int):
    server.on("responses", *[refusal(status)] * 2)
    server.on("chat/completions", *[refusal(status)] * 2)
    async with agent_of(server) as agent:
        for _ in range(2):
            assert f"not have this API, or not this model ({status})" in (await hear(agent, asking())).why
    assert [asked.path for asked in server.asked] == ["/v1/responses", "/v1/chat/completions"] * 2


async def test_a_model_that_is_missing_does_not_mean_that_the_api_is(server: ScriptedUpstream):
    server.on("responses", refusal(404, {"message": "The model `m` does not exist", "code": "model_not_found"}))
    async with agent_of(server) as agent:
        assert "does not have this model" in (await hear(agent, asking())).why
    assert len(server.asked) == 1


async def test_connections_are_used_again_and_cookies_are_not(server: ScriptedUpstream, api: Api, monkeypatch):
    # Else a body that ends late on a busy machine ends the connection, too.
    monkeypatch.setattr(endpoint, "_FAREWELL_SECONDS", 30)

    async def with_cookie(exchange: Exchange) -> None:
        await exchange.head(set_cookie="session=of-somebody; Path=/")
        await exchange.write(b"".join(map(spell, api.whole(api.message("x")))) + b"data: [DONE]\n\n")
        await exchange.end()

    server.on(api.path, with_cookie, with_cookie)
    async with agent_of(server, api.name) as agent:
        await hear(agent, asking())
        await hear(agent, asking())
    assert server.connections == 1
    assert "cookie" not in server.asked[1].headers


async def test_a_server_that_keeps_the_connection_open_after_its_last_event_does_not_keep_us(server: ScriptedUpstream):
    async def lingering(exchange: Exchange) -> None:
        await exchange.head()
        await exchange.events(responses_stream(responses_message("x")))
        await exchange.asked.gone.wait()

    server.on("responses", lingering)
    async with agent_of(server) as agent:
        assert (await hear(agent, asking())).texts == ["x"]
        await server.asked[0].gone.wait()


async def test_events_of_unknown_types_pass_and_those_about_the_response_do_not(server: ScriptedUpstream):
    new = {"type": "response.future_thing.happened", "detail": {"a": 1}}
    server.on("responses", stream(responses_stream([new], responses_message("x"))))
    async with agent_of(server) as agent:
        heard = await hear(agent, asking())
    first = heard.events[0]
    assert (first["type"], first["detail"]) == (new["type"], new["detail"])
    assert {event["type"] for event in heard.events} & {"response.created", "response.completed"} == set()
    assert [event["sequence_number"] for event in heard.events] == list(range(len(heard.events)))


async def test_reasoning_passes_with_what_is_encrypted_and_goes_back_with_its_id(server: ScriptedUpstream):
    thought = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "gAAAA=="}
    events = [
        {"type": "response.output_item.added", "output_index": 0, "item": {**thought, "encrypted_content": ""}},
        {"type": "response.output_item.done", "output_index": 0, "item": thought},
    ]
    server.on("responses", stream(responses_stream(events, responses_message("x", index=1))))
    server.on("responses", stream(responses_stream(responses_message("y"))))
    async with agent_of(server) as agent:
        kept = (await hear_items(agent, asking(include=["reasoning.encrypted_content"])))[0]
        again = AgentRequest("m", [*asking().history, *kept, message_item("user", "completed", "more")])
        await hear(agent, again)
    assert kept[0] == thought
    assert kept[1]["id"] == "msg_upstream1"
    assert server.asked[0].body["include"] == ["reasoning.encrypted_content"]
    assert server.asked[1].body["input"][1:3] == [thought, {"type": "message", "role": "assistant", "content": "x"}]


async def test_thoughts_and_refusals_of_chat_completions_are_items_and_parts(server: ScriptedUpstream):
    chunks = [
        chat_delta({"reasoning_content": "hm"}),
        chat_delta({"reasoning_content": "m"}),
        chat_delta({"content": "Well, "}),
        chat_delta({"refusal": "no."}),
    ]
    server.on("chat/completions", stream(chat_stream(chunks)))
    async with agent_of(server, "chat") as agent:
        heard = await hear(agent, asking())
    thought, message = heard.output
    assert (thought["type"], thought["content"]) == ("reasoning", [{"type": "reasoning_text", "text": "hmm"}])
    assert [part["type"] for part in message["content"]] == ["output_text", "refusal"]
    assert message["content"][1]["refusal"] == "no."


@pytest.mark.parametrize("reason", ["max_output_tokens", "content_filter"])
async def test_an_answer_that_was_cut_is_incomplete_and_says_why(server: ScriptedUpstream, api: Api, reason: str):
    whole = (
        responses_stream(responses_message("half"), end="incomplete", incomplete_details={"reason": reason})
        if api is RESPONSES
        else chat_stream(chat_message("half"), reason={"max_output_tokens": "length"}.get(reason, reason))
    )
    server.on(api.path, stream(whole))
    async with agent_of(server, api.name) as agent:
        heard = await hear(agent, asking())
    assert heard.texts == ["half"]
    assert heard.outcome == Outcome("incomplete", usage=USAGE, incomplete_details={"reason": reason})


async def test_items_that_are_named_only_at_the_end_are_said_as_well(server: ScriptedUpstream):
    item = message_item("assistant", "completed", "all at once")
    server.on("responses", stream(responses_stream(output=[item])))
    async with agent_of(server) as agent:
        assert (await hear(agent, asking())).texts == ["all at once"]


async def test_a_chat_server_that_never_says_why_it_ended_has_ended_when_it_is_done(server: ScriptedUpstream):
    server.on("chat/completions", stream(chat_message("x")))
    async with agent_of(server, "chat") as agent:
        heard = await hear(agent, asking())
    assert heard.outcome == Outcome("completed")
    assert heard.output[0]["status"] == "completed"


async def test_stopping_the_agent_ends_the_connection(server: ScriptedUpstream, api: Api):
    said = asyncio.Event()

    async def endless(exchange: Exchange) -> None:
        await exchange.head()
        await exchange.events(api.message("Once upon a time")[:3])
        said.set()
        await exchange.asked.gone.wait()

    server.on(api.path, endless, endless)
    async with agent_of(server, api.name) as agent:
        answer = agent.answer(asking())
        await anext(answer)
        await answer.aclose()
        await server.asked[0].gone.wait()
        said.clear()
        task = asyncio.create_task(hear(agent, asking()))
        await said.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.asked[1].gone.wait()


async def test_many_questions_are_answered_at_the_same_time(server: ScriptedUpstream, api: Api):
    everybody = asyncio.Event()

    async def meeting(exchange: Exchange) -> None:
        if len(server.asked) == 150:
            everybody.set()
        await everybody.wait()
        body = exchange.asked.body
        text = body["input"][0]["content"][0]["text"] if api is RESPONSES else body["messages"][0]["content"]
        await stream(api.whole(api.message(text)))(exchange)

    answers: list[Answer] = [meeting] * 150
    server.on(api.path, *answers)
    async with agent_of(server, api.name) as agent:
        heard = await asyncio.gather(*[hear(agent, asking(f"number {number}")) for number in range(150)])
    assert [each.texts for each in heard] == [[f"number {number}"] for number in range(150)]
