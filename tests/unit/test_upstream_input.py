"""A conversation is told so that every model's server takes it, whoever answered before."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.agents.protocol import Tool
from hansard.agents.upstream.chat import Chat
from hansard.agents.upstream.chat.messages import messages
from hansard.agents.upstream.dialect import Ask
from hansard.agents.upstream.responses import Responses, input_items
from hansard.models.verbatim import message_item
from hansard.services.history import window


def user(text: str) -> dict[str, Any]:
    return message_item("user", "completed", text)


def assistant(text: str, **more: Any) -> dict[str, Any]:
    return {**message_item("assistant", "completed", text), **more}


def thought(**more: Any) -> dict[str, Any]:
    return {"type": "reasoning", "id": "rs_1", "summary": [], **more}


def call(call_id: str, **more: Any) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": "f", "arguments": '{"a":1}', **more}


def output(call_id: str, value: Any = "1") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": value}


async def never(_: dict[str, Any]) -> dict[str, Any]:
    raise AssertionError


OWN = Tool("own", "Ours.", {"type": "object"}, never)


def test_ids_that_nobody_over_there_knows_are_left_out():
    items = [assistant("x", id="msg_1", phase="final_answer"), call("c", id="fc_1"), output("c")]
    assert input_items(items) == [
        {"type": "message", "role": "assistant", "content": "x", "phase": "final_answer"},
        call("c"),
        output("c"),
    ]


def test_what_an_assistant_said_with_more_than_text_stays_as_it_is():
    item = assistant("x", content=[{"type": "output_audio", "data": "…"}])
    assert input_items([item]) == [item]


@pytest.mark.parametrize(
    "items,kept",
    [
        ([thought(encrypted_content="e"), assistant("x")], True),
        ([thought(content=[{"type": "reasoning_text", "text": "hm"}]), call("c")], True),
        ([thought(), assistant("x")], False),
        ([thought(encrypted_content="e", id=None), assistant("x")], False),
        ([thought(encrypted_content="e")], False),
        ([thought(encrypted_content="e"), user("x")], False),
        ([thought(encrypted_content="e"), output("c")], False),
    ],
)
def test_reasoning_goes_along_where_a_server_can_read_it_and_something_came_of_it(items: list[Any], kept: bool):
    assert (items[0] in input_items(items)) is kept


def test_items_of_types_that_nobody_knows_go_along():
    assert input_items([{"type": "novelty", "id": "n_1", "x": 1}]) == [{"type": "novelty", "id": "n_1", "x": 1}]


def test_own_tools_stand_behind_the_clients_and_are_not_strict():
    theirs = {"type": "function", "name": "theirs"}
    body = Responses().body(Ask("m", [], {"tools": [theirs]}, [OWN]))
    assert body["tools"] == [
        theirs,
        {"type": "function", "name": "own", "description": "Ours.", "parameters": {"type": "object"}, "strict": False},
    ]


def chat(*items: dict[str, Any], instructions: Any = None) -> list[dict[str, Any]]:
    return messages(instructions, items)


def told_call(call_id: str, name: str = "f", arguments: str = '{"a":1}') -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def told_output(call_id: str, content: str = "1") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def test_chat_roles_and_texts():
    told = chat(
        {"role": "developer", "content": "Be brief."},
        user("Hi"),
        assistant("Hello"),
        {"role": "critic", "content": "Hm"},
        instructions="Be nice.",
    )
    assert told == [
        {"role": "system", "content": "Be nice."},
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "Hm"},
    ]


def test_chat_instructions_may_be_items():
    assert chat(user("Hi"), instructions=[{"role": "developer", "content": "x"}])[0] == {
        "role": "system",
        "content": "x",
    }


def test_chat_parts():
    parts = [
        {"type": "input_text", "text": "look"},
        {"type": "input_image", "image_url": "data:image/png;base64,AA", "detail": "low"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "AA"},
        {"type": "input_image", "file_id": "file_1"},
        {"type": "novelty"},
    ]
    [told] = chat({"type": "message", "role": "user", "content": parts})
    assert told["content"] == [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "low"}},
        {"type": "file", "file": {"file_data": "AA", "filename": "a.pdf"}},
        {"type": "text", "text": "[input_image]"},
        {"type": "text", "text": "[novelty]"},
    ]


def test_chat_calls_stand_with_what_was_said_before_them_and_right_before_their_outputs():
    told = chat(user("Hi"), assistant("Let me see."), call("1"), call("2"), output("2", "b"), output("1", "a"))
    assert told[1:] == [
        {"role": "assistant", "content": "Let me see.", "tool_calls": [told_call("1"), told_call("2")]},
        told_output("1", "a"),
        told_output("2", "b"),
    ]


def test_chat_calls_one_after_the_other_are_rounds():
    told = chat(call("1"), output("1"), call("2"), output("2"), assistant("Done."))
    assert [message["role"] for message in told] == ["assistant", "tool", "assistant", "tool", "assistant"]
    assert told[0]["content"] is None


def test_chat_an_output_that_came_late_stands_with_its_call():
    told = chat(call("1"), user("Hurry!"), output("1"))
    assert [message["role"] for message in told] == ["assistant", "tool", "user"]


def test_chat_a_call_id_that_is_used_again_finds_its_own_output():
    told = chat(call("1"), output("1", "first"), user("again"), call("1"), output("1", "second"))
    assert [message["content"] for message in told if message["role"] == "tool"] == ["first", "second"]


def test_chat_thoughts_go_along_with_the_calls_they_led_to_and_nowhere_else():
    hm = thought(content=[{"type": "reasoning_text", "text": "hm"}])
    told = chat(user("x"), hm, assistant("a"), call("1"), output("1"), hm, assistant("b"), user("y"), hm, user("z"))
    assert [message.get("reasoning_content") for message in told] == [None, "hm", None, None, None, None]


def test_chat_custom_tools_were_functions_with_one_argument():
    made = {"type": "custom_tool_call", "call_id": "1", "name": "g", "input": "x\n"}
    answered = {"type": "custom_tool_call_output", "call_id": "1", "output": [{"type": "input_text", "text": "ok"}]}
    told = chat(made, answered)
    assert told[0]["tool_calls"] == [told_call("1", "g", json.dumps({"input": "x\n"}))]
    assert told[1] == told_output("1", "ok")


def test_chat_output_parts_are_text_or_named():
    parts = [{"type": "input_text", "text": "see "}, {"type": "input_image", "image_url": "data:…"}]
    assert chat(call("1"), output("1", parts))[1] == told_output("1", "see [input_image]")


def test_chat_what_it_has_no_word_for_is_left_out():
    assert chat({"type": "web_search_call", "id": "ws"}, {"type": "item"}, assistant(""), output("nobody")) == []


def test_chat_parameters():
    body = Chat().body(
        Ask(
            "m",
            [user("x")],
            {
                "max_output_tokens": 5,
                "reasoning": {"effort": "low", "summary": "auto"},
                "text": {
                    "verbosity": "low",
                    "format": {"type": "json_schema", "name": "n", "schema": {}, "strict": True},
                },
                "tools": [{"type": "function", "name": "f", "parameters": {}, "description": None, "strict": True}],
                "tool_choice": {"type": "function", "name": "f"},
                "include": ["x"],
                "truncation": "auto",
                "stream_options": {"include_obfuscation": False},
                "top_p": 0.5,
                "user": None,
            },
            [OWN],
        )
    )
    del body["messages"]
    assert body == {
        "model": "m",
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 5,
        "reasoning_effort": "low",
        "verbosity": "low",
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "strict": True}},
        "tools": [
            {"type": "function", "function": {"name": "f", "parameters": {}, "strict": True}},
            {"type": "function", "function": {"name": "own", "description": "Ours.", "parameters": {"type": "object"}}},
        ],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "top_p": 0.5,
    }


def test_chat_without_tools_there_is_nothing_to_choose():
    assert "tool_choice" not in Chat().body(Ask("m", [], {"tool_choice": "auto"}))


SHAPES = st.sampled_from("1234").flatmap(
    lambda key: st.sampled_from(
        [user(key), assistant(key), call(key), output(key), thought(content=[{"type": "reasoning_text", "text": key}])]
    )
)


@given(st.lists(SHAPES, max_size=14), st.lists(SHAPES, max_size=4))
def test_chat_whatever_was_said_calls_and_outputs_stand_together(past: list[Any], new: list[Any]):
    check_pairs(chat(*window(past, new, tokens=100)))


def check_pairs(told: Sequence[dict[str, Any]]) -> None:
    """The rule of Chat Completions: calls, then exactly their outputs, in any order."""
    open_: list[str] = []
    for message in told:
        if message["role"] == "tool":
            open_.remove(message["tool_call_id"])
            continue
        assert open_ == []
        open_ = [one["id"] for one in message.get("tool_calls", [])]
        assert message["content"] or open_
    assert open_ == []


@given(st.lists(SHAPES, max_size=14))
def test_every_word_is_told(past: list[Any]):
    said = [item["content"][0]["text"] for item in past if item["type"] == "message"]
    assert [message["content"] for message in chat(*past) if message["role"] != "tool" and message["content"]] == said


@pytest.mark.parametrize("call_id", [{}, [], 1, None])
def test_chat_what_names_no_call_is_neither_call_nor_output(call_id: object):
    odd = [{**call("1"), "call_id": call_id}, {**output("1"), "call_id": call_id}]
    assert chat(user("a"), *odd, user("b")) == [
        {"role": "user", "content": "a"},
        {"role": "user", "content": "b"},
    ]
