"""What an agent says becomes valid events of the Responses API, and items that survive an interruption."""

import json
from collections.abc import AsyncIterator

import pytest
from openai.types.responses import ResponseOutputItem, ResponseStreamEvent
from pydantic import TypeAdapter

from hansard.agents.events import Answer
from hansard.models.verbatim import json_size
from hansard.services.history import INTERRUPTED
from hansard.services.transcript import ItemTooLarge, Transcript
from hansard.utils.ids import new_uuid, read_raw

EVENT: TypeAdapter[object] = TypeAdapter(ResponseStreamEvent)
ITEM: TypeAdapter[object] = TypeAdapter(ResponseOutputItem)
PREFIXES = {"message": "msg", "function_call": "fc", "function_call_output": "fco"}
TEXT_PART = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}


def a_transcript() -> Transcript:
    return Transcript()


async def spoken(*pieces: str) -> AsyncIterator[str]:
    for piece in pieces:
        yield piece


async def an_answer() -> list[dict]:
    answer = Answer()
    return [
        *answer.call(call_id="call_1", name="add_task", arguments='{"title":"x"}'),
        *answer.call_output(call_id="call_1", output='{"task":{"id":1}}'),
        *[event async for event in answer.message(spoken("Added ", "“x”."))],
    ]


async def test_events_are_those_that_the_sdk_knows_in_the_order_that_it_expects() -> None:
    transcript = a_transcript()
    published = [transcript.take(event) for event in await an_answer()]
    for event in published:
        assert EVENT.validate_json(json.dumps(event), strict=True)
    assert [event["sequence_number"] for event in published] == list(range(len(published)))
    assert [(event["type"].removeprefix("response."), event["output_index"]) for event in published] == [
        ("output_item.added", 0),
        ("function_call_arguments.delta", 0),
        ("function_call_arguments.done", 0),
        ("output_item.done", 0),
        ("output_item.added", 1),
        ("output_item.done", 1),
        ("output_item.added", 2),
        ("content_part.added", 2),
        ("output_text.delta", 2),
        ("output_text.delta", 2),
        ("output_text.done", 2),
        ("content_part.done", 2),
        ("output_item.done", 2),
    ]


async def test_every_event_of_an_item_has_the_id_under_which_it_is_stored() -> None:
    transcript = a_transcript()
    published = [transcript.take(event) for event in await an_answer()]
    spelled = [f"{PREFIXES[item['type']]}_{public_id.hex()}" for public_id, item in transcript.output]
    for event in published:
        named = event["item"]["id"] if "item" in event else event["item_id"]
        assert named == spelled[event["output_index"]]
    assert [item["id"] for item in transcript.view] == spelled


async def test_the_items_are_what_the_events_add_up_to() -> None:
    transcript = a_transcript()
    for event in await an_answer():
        transcript.take(event)
    assert [item for _, item in transcript.output] == [
        {
            "type": "function_call",
            "call_id": "call_1",
            "name": "add_task",
            "arguments": '{"title":"x"}',
            "status": "completed",
        },
        {
            "type": "function_call_output",
            "call_id": "call_1",
            "output": '{"task":{"id":1}}',
            "status": "completed",
        },
        {
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [TEXT_PART | {"text": "Added “x”."}],
        },
    ]


async def test_an_interruption_anywhere_leaves_valid_items_and_no_call_without_an_output() -> None:
    events = await an_answer()
    for said in range(len(events)):
        transcript = a_transcript()
        for event in events[:said]:
            transcript.take(event)
        closing = list(transcript.settle({"add_task"}))
        for event in closing:
            assert EVENT.validate_json(json.dumps(event), strict=True)
        for item in transcript.view:
            assert ITEM.validate_json(json.dumps(item), strict=True)
        items = [item for _, item in transcript.output]
        calls = [item["call_id"] for item in items if item["type"] == "function_call"]
        assert calls == [item["call_id"] for item in items if item["type"] == "function_call_output"]
        assert {item["status"] for item in items} <= {"completed", "incomplete"}


async def test_the_text_that_had_come_is_kept() -> None:
    transcript = a_transcript()
    events = [event async for event in Answer().message(spoken("One ", "two ", "three"))]
    for event in events[:4]:
        transcript.take(event)
    [(_, item)] = transcript.output
    assert item == {
        "type": "message",
        "role": "assistant",
        "status": "incomplete",
        "content": [TEXT_PART | {"text": "One two "}],
    }


def test_reasoning_and_refusals_are_kept_as_well() -> None:
    transcript = a_transcript()
    at = {"output_index": 0, "summary_index": 0}
    transcript.take(
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {"type": "reasoning", "id": "rs_1", "summary": []},
        }
    )
    part = {"type": "summary_text", "text": ""}
    transcript.take({"type": "response.reasoning_summary_part.added", **at, "part": part})
    transcript.take({"type": "response.reasoning_summary_text.delta", **at, "delta": "Thinking"})
    item = {"type": "message", "role": "assistant", "status": "in_progress", "content": []}
    transcript.take({"type": "response.output_item.added", "output_index": 1, "item": item})
    at = {"output_index": 1, "content_index": 0}
    transcript.take({"type": "response.content_part.added", **at, "part": {"type": "refusal", "refusal": ""}})
    transcript.take({"type": "response.refusal.delta", **at, "delta": "I can't"})
    thought, message = (item for _, item in transcript.output)
    assert thought["summary"] == [part | {"text": "Thinking"}]
    assert message["content"] == [{"type": "refusal", "refusal": "I can't"}]
    assert part == {"type": "summary_text", "text": ""}


def test_a_call_for_the_client_to_answer_stays_open() -> None:
    transcript = a_transcript()
    for event in Answer().call(call_id="call_1", name="the_clients_own", arguments="{}"):
        transcript.take(event)
    assert list(transcript.settle({"add_task"})) == []


def test_a_call_cut_off_while_it_was_said_is_closed_whoever_should_have_answered_it() -> None:
    transcript = a_transcript()
    for event in list(Answer().call(call_id="call_1", name="the_clients_own", arguments='{"ti'))[:2]:
        transcript.take(event)
    list(transcript.settle(set()))
    call, output = (item for _, item in transcript.output)
    assert (call["arguments"], call["status"]) == ('{"ti', "incomplete")
    assert (output["call_id"], output["output"]) == ("call_1", INTERRUPTED)


def test_events_of_unknown_types_are_passed_on() -> None:
    transcript = a_transcript()
    told = transcript.take({"type": "response.something.new", "anything": {"id": 1}})
    assert told == {"type": "response.something.new", "anything": {"id": 1}, "sequence_number": 0}


def test_the_id_its_maker_gave_an_item_is_stored_and_ours_is_shown() -> None:
    transcript = a_transcript()
    item = {"id": "msg_theirs", "type": "message", "role": "assistant", "status": "completed", "content": []}
    for event in Answer().item(item):
        transcript.take(event)
    [(public_id, stored)], [shown] = transcript.output, transcript.view
    assert stored["id"] == "msg_theirs"
    assert shown["id"] == f"msg_{public_id.hex()}"


@pytest.mark.parametrize("kind", ["response.output_text.delta", "response.output_item.done"])
def test_an_event_of_an_item_that_has_not_begun_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match="no open beginning"):
        a_transcript().take({"type": kind, "output_index": 0, "content_index": 0, "delta": "x", "item": {}})


def test_an_item_begins_once_and_ends_once() -> None:
    transcript = a_transcript()
    begin, end = Answer().call_output(call_id="call_1", output="")
    transcript.take(begin)
    with pytest.raises(ValueError, match="second time"):
        transcript.take(begin)
    transcript.take(end)
    with pytest.raises(ValueError, match="no open beginning"):
        transcript.take(end)


def test_an_id_tells_the_response_and_the_place_of_an_item_where_that_is_certain():
    made = new_uuid()
    for opened, places in [([0, 1, 2], [0, 1, 2]), ([0, 2, 1, 3], [0, None, None, 3]), ([1, 0, 2], [None, None, 2])]:
        transcript = Transcript(made)
        for index in opened:
            transcript.take(
                {"type": "response.output_item.added", "output_index": index, "item": {"type": "reasoning"}}
            )
        named = dict(zip(sorted(opened), (read_raw(item.public_id) for item in transcript.output), strict=True))
        assert [named[index].place if named[index].uuid == made else None for index in opened] == places
        assert all(one.minted for one in named.values())


def say_at_length(transcript: Transcript, *, beginning: int, part: int, piece: int) -> None:
    """Say an item with so many characters at each place."""
    begun = {"type": "reasoning", "note": "n" * beginning}
    transcript.take({"type": "response.output_item.added", "output_index": 0, "item": begun})
    for index in range(5000):
        about = {"output_index": 0, "summary_index": index}
        empty = {"type": "summary_text", "text": "t" * part}
        transcript.take({"type": "response.reasoning_summary_part.added", **about, "part": empty})
        for _ in range(1000 if piece else 0):
            transcript.take({"type": "response.reasoning_summary_text.delta", **about, "delta": "p" * piece})


@pytest.mark.parametrize("beginning, part, piece", [(3000, 0, 0), (2000, 0, 1), (0, 200, 0), (0, 0, 5)])
def test_an_item_is_broken_off_before_it_is_too_large_with_all_that_it_then_has(
    beginning: int, part: int, piece: int
) -> None:
    transcript = Transcript(item_limit=3000)
    with pytest.raises(ItemTooLarge):
        say_at_length(transcript, beginning=beginning, part=part, piece=piece)
    kept = [json_size(item) for _, item in transcript.output]
    assert kept == [] if beginning == 3000 else 2000 < kept[0] <= 3000
