"""Tools of the service are run here and the model is asked again; the client's are the client's, others are refused."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from hansard.agents.protocol import AgentRequest, Outcome, Tool
from hansard.agents.upstream.usage import add
from hansard.models.verbatim import message_item
from hansard.services.history import INTERRUPTED
from tests.support.scripted_upstream import USAGE, ScriptedUpstream, refusal, scripted_upstream, stream
from tests.support.upstream_talk import APIS, RESPONSES, Api, agent_of, asking, hear, hear_items

CLIENT_TOOL = {"type": "function", "name": "theirs", "parameters": {"type": "object"}, "strict": False}


@pytest.fixture(params=APIS, ids=str)
def api(request: pytest.FixtureRequest) -> Api:
    found: Api = request.param
    return found


@pytest_asyncio.fixture
async def server() -> AsyncIterator[ScriptedUpstream]:
    async with scripted_upstream() as found:
        yield found


class Counter:
    """A tool that counts what it is asked to."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    async def call(self, arguments: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(arguments)
        return {"count": len(self.calls), "said": "gezählt ✓"}

    @property
    def tool(self) -> Tool:
        return Tool("count", "Count.", {"type": "object", "properties": {"what": {"type": "string"}}}, self.call)


@pytest.fixture
def counter() -> Counter:
    return Counter()


def told_outputs(api: Api, body: Any) -> dict[str, str]:
    """The outputs that a request tells, by their calls."""
    if api is RESPONSES:
        return {item["call_id"]: item["output"] for item in body["input"] if item["type"] == "function_call_output"}
    return {told["tool_call_id"]: told["content"] for told in body["messages"] if told["role"] == "tool"}


async def test_our_tool_is_run_and_the_model_goes_on_with_its_output(
    server: ScriptedUpstream, api: Api, counter: Counter
):
    server.on(api.path, stream(api.whole(api.message("Let me see."), api.call("count", '{"what": "Bäume"}', index=1))))
    server.on(api.path, stream(api.whole(api.message("There is one."))))
    async with agent_of(server, api.name) as agent:
        heard = await hear(agent, asking(tools=(counter.tool,), temperature=0))
    assert counter.calls == [{"what": "Bäume"}]
    assert [item["type"] for item in heard.output] == ["message", "function_call", "function_call_output", "message"]
    assert heard.texts == ["Let me see.", "There is one."]
    output = heard.output[2]
    assert (output["call_id"], json.loads(output["output"])) == ("call_1", {"count": 1, "said": "gezählt ✓"})
    assert heard.outcome == Outcome("completed", usage=add(USAGE, USAGE))
    first, second = [asked.body for asked in server.asked]
    assert second["temperature"] == 0
    assert told_outputs(api, second) == {"call_1": output["output"]}
    assert second["tools"] == first["tools"]


async def test_several_calls_at_once_are_all_answered(server: ScriptedUpstream, api: Api, counter: Counter):
    calls = [api.call("count", "{}", call_id=f"call_{number}", index=number) for number in range(3)]
    server.on(api.path, stream(api.whole(*calls)), stream(api.whole(api.message("done"))))
    async with agent_of(server, api.name) as agent:
        heard = await hear(agent, asking(tools=(counter.tool,)))
    assert len(counter.calls) == 3
    assert set(told_outputs(api, server.asked[1].body)) == {"call_0", "call_1", "call_2"}
    assert heard.texts == ["done"]


@pytest.mark.parametrize("arguments", ["{not json", "[1]", '"text"', "[" * 100_000])
async def test_arguments_that_are_no_object_come_back_to_the_model(
    server: ScriptedUpstream, api: Api, counter: Counter, arguments: str
):
    server.on(api.path, stream(api.whole(api.call("count", arguments))), stream(api.whole(api.message("sorry"))))
    async with agent_of(server, api.name) as agent:
        heard = await hear(agent, asking(tools=(counter.tool,)))
    assert (counter.calls, heard.texts) == ([], ["sorry"])
    assert "must be a JSON object" in told_outputs(api, server.asked[1].body)["call_1"]


async def test_a_call_without_arguments_has_none(server: ScriptedUpstream, api: Api, counter: Counter):
    server.on(api.path, stream(api.whole(api.call("count", ""))), stream(api.whole(api.message("x"))))
    async with agent_of(server, api.name) as agent:
        await hear(agent, asking(tools=(counter.tool,)))
    assert counter.calls == [{}]


async def test_the_clients_tools_are_passed_on_and_their_calls_left_to_the_client(
    server: ScriptedUpstream, api: Api, counter: Counter
):
    server.on(api.path, stream(api.whole(api.call("theirs", "{}"))))
    async with agent_of(server, api.name) as agent:
        heard = await hear(agent, AgentRequest("m", asking().history, {"tools": [CLIENT_TOOL]}, (counter.tool,)))
    assert heard.outcome == Outcome("completed", usage=USAGE)
    assert [item["type"] for item in heard.output] == ["function_call"]
    assert len(server.asked) == 1


async def test_where_both_are_called_ours_is_answered_and_the_client_goes_on(
    server: ScriptedUpstream, api: Api, counter: Counter
):
    server.on(api.path, stream(api.whole(api.call("theirs", "{}"), api.call("count", "{}", call_id="call_2", index=1))))
    request = AgentRequest("m", asking().history, {"tools": [CLIENT_TOOL]}, (counter.tool,))
    async with agent_of(server, api.name) as agent:
        heard = await hear(agent, request)
        assert [item["type"] for item in heard.output] == ["function_call", "function_call", "function_call_output"]
        assert len(server.asked) == 1
        server.on(api.path, stream(api.whole(api.message("x"))))
        answer = {"type": "function_call_output", "call_id": "call_1", "output": "42"}
        await hear(agent, AgentRequest("m", [*request.history, *heard.output, answer], {"tools": [CLIENT_TOOL]}))
    told = told_outputs(api, server.asked[1].body)
    assert (told["call_1"], set(told)) == ("42", {"call_1", "call_2"})
    names = [tool.get("name", tool.get("function", {}).get("name")) for tool in server.asked[0].body["tools"]]
    assert names == ["theirs", "count"]


async def test_a_model_that_never_stops_calling_is_stopped(server: ScriptedUpstream, api: Api, counter: Counter):
    calls = [stream(api.whole(api.call("count", "{}", call_id=f"call_{number}"))) for number in range(5)]
    server.on(api.path, *calls)
    async with agent_of(server, api.name, most_rounds=4) as agent:
        heard = await hear(agent, asking(tools=(counter.tool,)))
    assert "asked 4 times and still called tools" in heard.why
    assert (len(counter.calls), len(server.asked)) == (3, 4)
    assert [asked.body.get("tool_choice") for asked in server.asked] == [None, "auto", "auto", "none"]
    assert heard.output[-1]["output"] == INTERRUPTED
    assert heard.outcome
    assert heard.outcome.usage
    assert heard.outcome.usage["total_tokens"] == 60


@pytest.mark.parametrize(
    "sent,then", [("required", "auto"), ({"type": "function", "name": "count"}, "auto"), ("none", "none")]
)
async def test_a_tool_is_forced_only_once(server: ScriptedUpstream, api: Api, counter: Counter, sent: Any, then: str):
    server.on(api.path, stream(api.whole(api.call("count", "{}"))), stream(api.whole(api.message("x"))))
    async with agent_of(server, api.name) as agent:
        await hear(agent, asking(tools=(counter.tool,), tool_choice=sent))
    assert server.asked[1].body["tool_choice"] == then


async def test_a_call_that_was_cut_is_not_carried_out(server: ScriptedUpstream, counter: Counter):
    call = RESPONSES.call("count", '{"what": "ha')
    call[-1]["item"]["status"] = "incomplete"
    server.on("responses", stream(RESPONSES.whole(call, end="incomplete", incomplete_details={"reason": "x"})))
    server.on("responses", stream(RESPONSES.whole(call)))
    async with agent_of(server) as agent:
        for _ in range(2):
            heard = await hear(agent, asking(tools=(counter.tool,)))
            assert heard.output[-1]["output"] == INTERRUPTED
    assert counter.calls == []


async def test_what_was_said_before_a_later_round_fails_is_kept(server: ScriptedUpstream, api: Api, counter: Counter):
    server.on(api.path, stream(api.whole(api.call("count", "{}"))), refusal(500))
    async with agent_of(server, api.name) as agent:
        heard = await hear(agent, asking(tools=(counter.tool,)))
    assert "(500)" in heard.why
    assert [item["type"] for item in heard.output] == ["function_call", "function_call_output"]
    assert heard.outcome
    assert heard.outcome.usage == USAGE


HOSTED: list[Any] = [
    {"type": "web_search"},
    {"type": "mcp", "server_url": "https://evil.example"},
    {"type": "namespace", "name": "n", "tools": [CLIENT_TOOL, {"type": "mcp"}]},
    {"type": "shell"},
    {},
]


@pytest.mark.parametrize("tool", HOSTED, ids=str)
async def test_a_tool_of_the_models_server_is_refused_by_name(server: ScriptedUpstream, api: Api, tool: Any):
    request = AgentRequest("m", asking().history, {"tools": [CLIENT_TOOL, tool]})
    async with agent_of(server, api.name) as agent:
        heard = await hear(agent, request)
    assert heard.outcome
    assert heard.outcome.error
    assert heard.outcome.error["code"] == "invalid_prompt"
    named = "mcp" if tool.get("type") == "namespace" else tool.get("type")
    assert heard.why == f"The tool {named!r} is not available here."
    assert server.asked == []


async def test_neither_can_it_be_brought_along_by_an_item(server: ScriptedUpstream):
    item = {"type": "additional_tools", "role": "user", "tools": [{"type": "mcp"}]}
    async with agent_of(server) as agent:
        heard = await hear(agent, AgentRequest("m", [item, message_item("user", "completed", "x")]))
    assert heard.why == "The tool 'mcp' is not available here."
    assert server.asked == []


async def test_a_tool_that_the_operator_lists_is_passed_on_with_its_events(server: ScriptedUpstream):
    searched = {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search"}}
    events = [
        {"type": "response.output_item.added", "output_index": 0, "item": {**searched, "status": "in_progress"}},
        {"type": "response.web_search_call.searching", "output_index": 0, "item_id": "ws_1"},
        {"type": "response.output_item.done", "output_index": 0, "item": searched},
    ]
    server.on("responses", stream(RESPONSES.whole(events, RESPONSES.message("x"))))
    async with agent_of(server, hosted_tools=["web_search"]) as agent:
        heard = await hear(agent, AgentRequest("m", asking().history, {"tools": [{"type": "web_search"}]}))
    assert server.asked[0].body["tools"] == [{"type": "web_search"}]
    assert [item["type"] for item in heard.output] == ["web_search_call", "message"]
    [searching] = [event for event in heard.events if event["type"] == "response.web_search_call.searching"]
    assert searching["item_id"] == heard.output[0]["id"] != "ws_1"


async def test_a_client_tool_with_a_name_of_ours_takes_its_place(server: ScriptedUpstream, api: Api, counter: Counter):
    server.on(api.path, stream(api.whole(api.call("count", "{}"))))
    request = AgentRequest("m", asking().history, {"tools": [{**CLIENT_TOOL, "name": "count"}]}, (counter.tool,))
    async with agent_of(server, api.name) as agent:
        _, outcome = await hear_items(agent, request)
    assert (outcome.status, counter.calls) == ("completed", [])
    assert len(server.asked[0].body["tools"]) == 1


@pytest.mark.parametrize(
    "parameters,lacking",
    [
        ({"prompt": {"id": "p"}}, "'prompt'"),
        ({"top_logprobs": 3}, "'top_logprobs'"),
        ({"tools": [{"type": "custom", "name": "c"}]}, "'custom'"),
        ({"tool_choice": {"type": "custom"}, "tools": [CLIENT_TOOL]}, "'custom'"),
    ],
)
async def test_what_chat_completions_cannot_say_is_refused_by_name(
    server: ScriptedUpstream, parameters: Any, lacking: str
):
    async with agent_of(server, "chat") as agent:
        assert lacking in (await hear(agent, AgentRequest("m", asking().history, parameters))).why
    assert server.asked == []
