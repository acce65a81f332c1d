"""Turns over HTTP, as the official SDK asks for them and as nobody should."""

import asyncio
import json
from typing import Any

import openai
import pytest

from tests.api.live import Person


def say(person: Person, text: str, conversation_id: str) -> openai.types.responses.Response:
    return person.sdk.responses.create(model="offline", input=text, conversation=conversation_id)


def titles(person: Person) -> list[str]:
    return [task["title"] for task in person.http.get("/api/tasks").json()["data"]]


def test_a_person_manages_tasks_by_talking(ann: Person) -> None:
    home = ann.sdk.conversations.create().id
    assert "“buy milk”" in say(ann, "add buy milk", home).output_text
    assert "“buy milk”" in say(ann, "what's left?", home).output_text
    say(ann, "I've done buy milk", home)
    [task] = ann.http.get("/api/tasks").json()["data"]
    assert (task["title"], task["completed"]) == ("buy milk", True)


def test_what_is_too_deep_to_be_repeated_is_refused_before_anything_is_stored(ann: Person) -> None:
    home = ann.sdk.conversations.create().id
    headers = {"content-type": "application/json", "idempotency-key": "deep"}
    for depth in range(940, 1000, 4):
        body = f'{{"conversation":"{home}","input":"x","more":{"[" * depth}{"]" * depth}}}'
        answer = ann.http.post("/v1/responses", content=body, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_json")
    assert list(ann.sdk.conversations.items.list(home)) == []


def test_no_item_that_may_be_stored_keeps_a_conversation_from_going_on(ann: Person) -> None:
    home = ann.sdk.conversations.create().id
    call_ids: list[Any] = [{}, [], 1]
    kinds = ("x", "x_output", "function_call_output")
    odd: list[Any] = [{"type": kind, "call_id": one, "output": ""} for kind in kinds for one in call_ids]
    assert ann.http.post(f"/v1/conversations/{home}/items", json={"items": odd}).status_code == 200
    assert say(ann, "help", home).status == "completed"
    assert ann.sdk.responses.create(model="offline", input=[*odd, {"role": "user", "content": "help"}]).output_text


def test_the_turn_is_in_the_conversation_under_the_ids_of_the_response(ann: Person) -> None:
    home = ann.sdk.conversations.create().id
    response = say(ann, "add buy milk", home)
    items = list(ann.sdk.conversations.items.list(home, order="asc"))
    assert [item.type for item in items] == ["message", "function_call", "function_call_output", "message"]
    assert [item.id for item in items[1:]] == [item.id for item in response.output]
    for item in items:
        assert item.id
        assert ann.sdk.conversations.items.retrieve(item.id, conversation_id=home) == item
    assert response.conversation
    assert response.conversation.id == home


def test_the_response_has_every_field_and_repeats_what_was_asked(ann: Person) -> None:
    response = ann.sdk.responses.create(
        model="offline",
        input="help",
        instructions="Be brief",
        metadata={"topic": "demo"},
        temperature=0.5,
        max_output_tokens=100,
        tools=[{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": False}],
        tool_choice="none",
        parallel_tool_calls=False,
    )
    assert response.id.startswith("resp_")
    assert (response.object, response.status, response.model) == ("response", "completed", "offline")
    assert (response.instructions, response.metadata) == ("Be brief", {"topic": "demo"})
    assert (response.temperature, response.max_output_tokens, response.parallel_tool_calls) == (0.5, 100, False)
    assert response.tool_choice == "none"
    assert [tool.type for tool in response.tools] == ["function"]
    assert response.usage
    assert response.usage.total_tokens == 0
    assert response.error is None
    assert response.completed_at
    assert response.completed_at >= response.created_at


@pytest.mark.parametrize("as_object", [False, True])
def test_the_conversation_may_be_named_in_both_ways(ann: Person, as_object: bool) -> None:
    home = ann.sdk.conversations.create().id
    named: Any = {"id": home} if as_object else home
    response = ann.sdk.responses.create(input="hello", conversation=named)
    assert response.model == "offline"
    assert len(ann.sdk.conversations.items.list(home).data) == 2


def test_input_may_be_items_of_every_kind(ann: Person) -> None:
    home = ann.sdk.conversations.create().id
    response = ann.sdk.responses.create(
        input=[
            {"role": "developer", "content": "You keep tasks."},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "1"},
            {"role": "user", "content": [{"type": "input_text", "text": "add buy milk"}]},
        ],
        conversation=home,
    )
    assert "“buy milk”" in response.output_text
    kinds = [item.type for item in ann.sdk.conversations.items.list(home, order="asc").data]
    assert kinds[:4] == ["message", "function_call", "function_call_output", "message"]
    assert len(kinds) == 4 + len(response.output)


def test_more_than_twenty_items_are_no_error_here(ann: Person) -> None:
    response = ann.sdk.responses.create(input=[{"role": "user", "content": "help"}] * 30)
    assert response.status == "completed"


def test_a_conversation_begun_by_a_response_is_not_listed_but_there(ann: Person) -> None:
    response = ann.sdk.responses.create(input="hello")
    assert response.conversation
    assert len(ann.sdk.conversations.items.list(response.conversation.id).data) == 2
    assert ann.http.get("/v1/conversations").json()["data"] == []


def test_nothing_is_kept_of_a_response_that_shall_not_be_stored(ann: Person) -> None:
    response = ann.sdk.responses.create(input="add buy milk", store=False)
    assert response.conversation is None
    assert response.status == "completed"
    assert titles(ann) == ["buy milk"]


def test_a_named_conversation_is_updated_also_without_store(ann: Person) -> None:
    home = ann.sdk.conversations.create().id
    ann.sdk.responses.create(input="hello", conversation=home, store=False)
    assert len(ann.sdk.conversations.items.list(home).data) == 2


def test_every_code_point_comes_through(ann: Person) -> None:
    home = ann.sdk.conversations.create().id
    text = "\x00 \ud800 e\u0301 \r\n \U0001f984"
    body = json.dumps({"input": text, "conversation": home})
    answer = ann.http.post("/v1/responses", content=body, headers={"content-type": "application/json"})
    assert answer.json()["status"] == "completed"
    [asked, _] = ann.http.get(f"/v1/conversations/{home}/items?order=asc").json()["data"]
    assert asked["content"][0]["text"] == text


async def test_the_asynchronous_sdk_works_as_well(ann: Person) -> None:
    async with ann.async_sdk() as sdk:
        responses = await asyncio.gather(*[sdk.responses.create(input=f"add task {index}") for index in range(10)])
    assert {response.status for response in responses} == {"completed"}
    assert sorted(titles(ann)) == [str(index) for index in range(10)]


WRONG = [
    ({}, "input", "missing_required_parameter"),
    ({"input": 3}, "input", "invalid_type"),
    ({"input": ["text"]}, "input[0]", "invalid_type"),
    ({"input": [{"role": "wizard", "content": "x"}]}, "input[0].role", "invalid_value"),
    ({"input": [{"type": "function_call_output", "call_id": "c"}]}, "input[0].output", "missing_required_parameter"),
    ({"input": "x", "model": 3}, "model", "invalid_type"),
    ({"input": "x", "model": "gpt-none"}, "model", "model_not_found"),
    ({"input": "x", "stream": "yes"}, "stream", "invalid_type"),
    ({"input": "x", "background": 1}, "background", "invalid_type"),
    ({"input": "x", "previous_response_id": "resp_1"}, "previous_response_id", "previous_response_not_found"),
    ({"input": "x", "previous_response_id": 3}, "previous_response_id", "invalid_type"),
    (
        {"input": "x", "previous_response_id": "resp_1", "conversation": "conv_1"},
        "previous_response_id",
        "mutually_exclusive_parameters",
    ),
    ({"input": "x", "conversation": 3}, "conversation", "invalid_type"),
    ({"input": "x", "conversation": {}}, "conversation", "invalid_type"),
    ({"input": "x", "store": "no"}, "store", "invalid_type"),
    ({"input": "x", "metadata": {"k": 3}}, "metadata", "invalid_type"),
    ({"input": "x", "metadata": {str(n): "" for n in range(17)}}, "metadata", "object_above_max_properties"),
    ({"input": "x", "temperature": "hot"}, "temperature", "invalid_type"),
    ({"input": "x", "temperature": True}, "temperature", "invalid_type"),
    ({"input": "x", "tools": {}}, "tools", "invalid_type"),
    ({"input": "x", "tools": [1]}, "tools[0]", "invalid_type"),
    ({"input": "x", "tools": [{"name": "x"}]}, "tools[0].type", "missing_required_parameter"),
    ({"input": "x", "text": {"format": "json"}}, "text.format", "invalid_type"),
    ({"input": "x", "tool_choice": "perhaps"}, "tool_choice", "invalid_value"),
    ({"input": "x", "truncation": "perhaps"}, "truncation", "invalid_value"),
    ({"input": "x", "include": "reasoning.encrypted_content"}, "include", "invalid_type"),
    ({"input": "x", "include": ["everything"]}, "include", "invalid_value"),
    ({"input": "x", "stream_options": True}, "stream_options", "invalid_type"),
]


@pytest.mark.parametrize("body,param,code", WRONG, ids=[json.dumps(body)[:60] for body, _, _ in WRONG])
def test_a_wrong_request_is_refused_by_name_and_leaves_nothing(ann: Person, body: dict, param: str, code: str) -> None:
    home = ann.sdk.conversations.create().id
    here = {} if param in {"input", "conversation", "previous_response_id"} else {"conversation": home}
    answer = ann.http.post("/v1/responses", json=body | here)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["param"], error["code"]) == (param, code)
    assert ann.sdk.conversations.items.list(home).data == []
    assert titles(ann) == []


def test_a_conversation_tells_how_its_newest_response_ended(ann: Person, bob: Person) -> None:
    home = ann.sdk.conversations.create().id

    def last() -> Any:
        return ann.sdk.conversations.retrieve(home, extra_query={"include[]": "last_response"}).to_dict()

    assert last()["last_response"] is None
    first, second = say(ann, "hello", home), say(ann, "help", home)
    shown = last()
    told = shown.pop("last_response")
    assert shown == ann.sdk.conversations.retrieve(home).to_dict()
    whole = second.to_dict()
    assert told == {name: whole[name] for name in told}
    assert (told["id"], told["status"], told["error"]) == (second.id, "completed", None)
    ann.sdk.responses.delete(second.id)
    assert last()["last_response"]["id"] == first.id
    path = f"/v1/conversations/{home}?include=last_response"
    assert ann.http.get(path).json() == last()
    theirs, none = bob.http.get(path), bob.http.get(path.replace(home, f"conv_{'0' * 48}"))
    assert (theirs.status_code, theirs.text.replace(home, "…")) == (404, none.text.replace(f"conv_{'0' * 48}", "…"))
    refused = ann.http.get(f"/v1/conversations/{home}?include[]=items").json()["error"]
    assert refused["param"] == "include"
    assert "'last_response'" in refused["message"]


def test_a_foreign_conversation_looks_like_one_that_is_missing(ann: Person, bob: Person) -> None:
    foreign = ann.sdk.conversations.create().id
    gone = ann.sdk.conversations.create().id
    ann.sdk.conversations.delete(gone)
    errors = []
    for named in (foreign, gone, "conv_nonsense"):
        answer = bob.http.post("/v1/responses", json={"input": "hello", "conversation": named})
        assert answer.status_code == 404
        errors.append(answer.text.replace(named, "…"))
    assert len(set(errors)) == 1
    assert ann.sdk.conversations.items.list(foreign).data == []


def test_an_item_that_is_there_already_is_refused(ann: Person) -> None:
    home = ann.sdk.conversations.create().id
    response = say(ann, "hello", home)
    again: Any = [item.to_dict() for item in response.output]
    with pytest.raises(openai.BadRequestError, match="already in conversation"):
        ann.sdk.responses.create(input=again, conversation=home)
    assert len(ann.sdk.conversations.items.list(home).data) == 2


def test_without_a_key_nobody_is_answered(ann: Person) -> None:
    answer = ann.http.post("/v1/responses", json={"input": "hello"}, headers={"authorization": ""})
    assert answer.status_code == 401
