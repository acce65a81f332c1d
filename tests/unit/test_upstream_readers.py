"""Every stream, also of servers that keep no rules, becomes events that the runner of turns can write down."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.agents.grammar import HOLDS
from hansard.agents.upstream.chat.reader import ChatReader
from hansard.agents.upstream.dialect import DONE, Reader
from hansard.agents.upstream.failure import AnswerFailed
from hansard.agents.upstream.record import Record
from hansard.agents.upstream.responses import ResponsesReader
from hansard.agents.upstream.usage import add, read_chat_usage, read_usage
from hansard.services.transcript import Transcript
from tests.support.scripted_upstream import (
    CHAT_USAGE,
    USAGE,
    chat_call,
    chat_delta,
    chat_message,
    chat_stream,
    responses_message,
    responses_stream,
)


def take(reader: Reader, record: Record, *events: Any) -> Iterator[dict[str, Any]]:
    for event in events:
        for said in reader.take(event if event == DONE else json.dumps(event)):
            yield from record.take(said)


def output(reader: Reader, *events: Any) -> list[dict[str, Any]]:
    transcript = Transcript()
    for event in take(reader, Record(), *events):
        transcript.take(event)
    return [item.item for item in transcript.output]


def calls_of(items: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(item["call_id"], item["name"], item["arguments"]) for item in items if item["type"] == "function_call"]


def piece(**call: Any) -> dict[str, Any]:
    return chat_delta({"tool_calls": [call]})


TWO_CALLS: dict[str, list[dict[str, Any]]] = {
    "numbered": [*chat_call("f", '{"a":1}', call_id="1"), *chat_call("g", "{}", call_id="2", index=1)],
    "whole, and all numbered the same": [
        piece(index=0, id="1", function={"name": "f", "arguments": '{"a":1}'}),
        piece(index=0, id="2", function={"name": "g", "arguments": "{}"}),
    ],
    "with ids and no numbers": [
        piece(id="1", function={"name": "f", "arguments": ""}),
        piece(id="1", function={"arguments": '{"a":1}'}),
        piece(id="2", function={"name": "g", "arguments": "{}"}),
    ],
    "with each piece named": [
        piece(index=0, id="1", function={"name": "f", "arguments": '{"a"'}),
        piece(index=0, id="1", function={"name": "f", "arguments": ":1}"}),
        piece(index=1, id="2", function={"name": "g", "arguments": "{}"}),
    ],
    "in turns": [
        piece(index=0, id="1", function={"name": "f", "arguments": '{"a"'}),
        piece(index=1, id="2", function={"name": "g", "arguments": "{"}),
        piece(index=0, function={"arguments": ":1}"}),
        piece(index=1, function={"arguments": "}"}),
    ],
    "in one chunk, with objects for arguments": [
        chat_delta(
            {
                "tool_calls": [
                    {"index": 0, "id": "1", "function": {"name": "f", "arguments": {"a": 1}}},
                    {"index": 1, "id": "2", "function": {"name": "g", "arguments": {}}},
                ]
            }
        )
    ],
}


@pytest.mark.parametrize("way", TWO_CALLS)
def test_calls_are_understood_however_servers_number_them(way: str):
    said = calls_of(output(ChatReader(), *chat_stream(TWO_CALLS[way], reason="tool_calls")))
    assert [(id_, name, json.loads(arguments)) for id_, name, arguments in said] == [
        ("1", "f", {"a": 1}),
        ("2", "g", {}),
    ]


def test_calls_without_ids_get_some():
    chunks = [piece(function={"name": "f", "arguments": "{"}), piece(function={"arguments": "}"})]
    chunks += [piece(function={"name": "g", "arguments": "{}"})]
    (first, *f), (second, *g) = calls_of(output(ChatReader(), *chat_stream(chunks)))
    assert (f, g) == (["f", "{}"], ["g", "{}"])
    assert len({first, second, ""}) == 3


def test_what_is_said_after_a_call_is_another_message():
    items = output(ChatReader(), *chat_stream(chat_message("a"), chat_call("f", "{}"), chat_message("b")))
    assert [item["type"] for item in items] == ["message", "function_call", "message"]


def test_a_character_cut_between_its_surrogates_is_one_again():
    [item] = output(ChatReader(), chat_delta({"content": "\ud83d"}), chat_delta({"content": "\ude80"}), DONE)
    assert item["content"][0]["text"] == "🚀"


def test_a_server_that_does_not_count_its_items_is_understood():
    items = output(ResponsesReader(), *responses_stream(responses_message("a"), responses_message("b")))
    assert [item["content"][0]["text"] for item in items] == ["a", "b"]


def test_an_item_that_only_ends_has_begun_as_well():
    end = responses_message("a")[-1]
    assert output(ResponsesReader(), end) == [end["item"]]


def test_events_about_an_item_that_has_ended_add_nothing():
    late = {"type": "response.output_text.annotation.added", "output_index": 0, "annotation": {}}
    assert len(list(take(ResponsesReader(), Record(), *responses_message("a"), late))) == len(responses_message("a"))


def test_an_item_that_begins_with_nulls_can_be_cut_off():
    added = {"type": "reasoning", "id": "rs_1", "summary": None, "content": None}
    at = {"output_index": 0, "content_index": 0}
    [item] = output(
        ResponsesReader(),
        {"type": "response.output_item.added", "output_index": 0, "item": added},
        {"type": "response.content_part.added", **at, "part": {"type": "reasoning_text", "text": ""}},
        {"type": "response.reasoning_text.delta", **at, "delta": "hm"},
    )
    assert (item["content"], item["status"]) == ([{"type": "reasoning_text", "text": "hm"}], "incomplete")


def test_rounds_are_counted_on():
    record = Record()
    indexes = []
    for _ in range(2):
        record.begin_round()
        events = take(
            ResponsesReader(), record, *responses_stream(responses_message("a"), responses_message("b", index=1))
        )
        indexes.append({event["output_index"] for event in events})
    assert indexes == [{0, 1}, {2, 3}]


def test_tokens_have_every_field_that_clients_read():
    empty = read_usage({})
    assert empty is not None
    assert (empty.keys(), empty["input_tokens_details"].keys()) == (
        USAGE.keys(),
        {"cached_tokens", "cache_write_tokens"},
    )
    assert read_usage({**USAGE, "new": {"deep": 3}, "cost": "1"}) == {**USAGE, "new": {"deep": 3}}
    assert read_usage({"input_tokens": None, "input_tokens_details": None, "total_tokens": 1}) == {
        **empty,
        "total_tokens": 1,
    }
    assert read_chat_usage(CHAT_USAGE) == USAGE
    assert read_usage(None) is read_chat_usage([]) is None


def test_tokens_of_rounds_add_up():
    twice = add(USAGE, USAGE)
    assert (twice["total_tokens"], twice["input_tokens_details"]["cached_tokens"]) == (30, 8)
    assert add({}, USAGE) == USAGE


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 3) | st.sampled_from(["", "x", "message", "function_call", "1"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["type", "text", "name", "call_id", "arguments", "content"]), inner, max_size=4
        )
    ),
    max_leaves=5,
)
RESPONSES_FIELDS = [
    "item",
    "output_index",
    "content_index",
    "summary_index",
    "delta",
    "part",
    "response",
    "error",
    "code",
]
RESPONSES_TYPES = [
    "response.output_item.added",
    "response.output_item.done",
    "response.content_part.added",
    "response.reasoning_summary_part.added",
    "response.output_text.delta",
    "response.function_call_arguments.delta",
    "response.reasoning_summary_text.delta",
    "response.completed",
    "response.incomplete",
    "response.failed",
    "error",
    "novelty",
]
ODD_EVENTS = st.builds(
    lambda kind, fields: {**fields, "type": kind},
    st.sampled_from(RESPONSES_TYPES) | JUNK,
    st.dictionaries(st.sampled_from(RESPONSES_FIELDS), JUNK, max_size=5),
)
PLACE = {"output_index": 0, "content_index": 0, "summary_index": 0}
ITEM_FIELDS = ["content", "summary", "arguments", "call_id", "name", "status", "id", "input", "code"]
ODD_BEGINNINGS = st.builds(
    lambda kind, fields: {
        "type": "response.output_item.added",
        **PLACE,
        "item": {"call_id": "1", "name": "f", **fields, "type": kind},
    },
    st.sampled_from(["message", "reasoning", "function_call", "function_call_output", "mcp_call", "novelty"]),
    st.dictionaries(st.sampled_from(ITEM_FIELDS), JUNK, max_size=3),
)
# Right enough to come far: what an item holds, and is then added to.
ODD_ADDITIONS = st.builds(
    lambda kind, part: {"type": kind, **PLACE, "delta": "x", "part": part},
    st.sampled_from([kind for kind in HOLDS if "item" not in kind]),
    st.dictionaries(st.sampled_from(["type", "text", "refusal"]), st.sampled_from(["x", "", None, 3, []]), max_size=2),
)
RIGHT_EVENTS = st.sampled_from([*responses_message("ab"), *responses_message("c", index=1)])
ODD_CHUNKS = st.dictionaries(
    st.sampled_from(["choices", "usage", "error"]),
    JUNK
    | st.lists(st.dictionaries(st.sampled_from(["delta", "finish_reason"]), JUNK, max_size=2), max_size=1)
    | st.lists(
        st.fixed_dictionaries({"delta": st.dictionaries(st.sampled_from(["content", "tool_calls", "refusal"]), JUNK)})
    ),
)
RIGHT_CHUNKS = st.sampled_from(chat_stream(chat_message("ab"), chat_call("f", "{}")))


def survive(reader: Reader, events: list[Any]) -> None:
    """Take what comes as the agent and the runner do; only `AnswerFailed` may stop them."""
    transcript = Transcript()
    try:
        for event in take(reader, Record(), *events):
            transcript.take(event)
    except AnswerFailed:
        assert reader.outcome is None or reader.outcome.status in {"completed", "incomplete", "failed"}
    list(transcript.settle({"f"}))
    assert len(transcript.view) == len(transcript.output)


@given(st.lists(ODD_EVENTS | RIGHT_EVENTS, max_size=12))
def test_no_event_of_the_responses_api_can_break_a_turn(events: list[Any]):
    survive(ResponsesReader(), events)


@given(ODD_BEGINNINGS, st.lists(ODD_ADDITIONS, max_size=6))
def test_no_item_can_break_a_turn(begun: Any, added: list[Any]):
    survive(ResponsesReader(), [begun, *added])


@given(st.lists(ODD_CHUNKS | RIGHT_CHUNKS, max_size=12))
def test_no_chunk_of_a_chat_completion_can_break_a_turn(chunks: list[Any]):
    survive(ChatReader(), chunks)
