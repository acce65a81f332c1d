"""What an agent is shown of a conversation is valid for every model, wherever it was cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.services.history import INTERRUPTED, window


def said(text: str) -> dict:
    return {"type": "message", "role": "user", "status": "completed", "content": [{"type": "input_text", "text": text}]}


def call(call_id: str, kind: str = "function_call") -> dict:
    return {"type": kind, "call_id": call_id, "name": "f", "arguments": "{}", "status": "completed"}


def output(call_id: str, kind: str = "function_call_output") -> dict:
    return {"type": kind, "call_id": call_id, "output": "1", "status": "completed"}


def test_complete_pairs_are_shown_as_they_are() -> None:
    past = [said("a"), call("1"), call("2"), output("2"), output("1"), said("b")]
    assert window(past, [said("c")]) == [*past, said("c")]


def test_an_output_whose_call_is_cut_off_is_left_out() -> None:
    assert window([output("1"), said("a")], [said("b")]) == [said("a"), said("b")]
    cut = output("1", "custom_tool_call_output")
    assert window([cut, said("a")], []) == [said("a")]


def test_a_call_that_nobody_answered_gets_an_output_right_behind_it() -> None:
    *_, added, last = window([call("1")], [said("a")])
    assert (added["type"], added["call_id"], added["output"]) == ("function_call_output", "1", INTERRUPTED)
    assert last == said("a")


def test_an_answer_among_the_new_items_is_the_answer() -> None:
    assert window([call("1")], [output("1")]) == [call("1"), output("1")]


def test_an_answer_cut_off_before_its_first_word_is_left_out() -> None:
    shell = {"type": "message", "role": "assistant", "status": "incomplete", "content": []}
    assert window([said("a"), shell], [said("b")]) == [said("a"), said("b")]


@pytest.mark.parametrize("call_id", [{}, [], 1, True])
def test_what_names_no_call_is_shown_as_it_is(call_id: object) -> None:
    odd = [{"type": kind, "call_id": call_id} for kind in ("x", "x_output", "message", "function_call_output")]
    assert window(odd, [said("a")], tokens=1000) == [*odd, said("a")]
    assert window([said("a")], odd, tokens=1000) == [said("a"), *odd]


ITEMS = st.lists(
    st.sampled_from("123456").flatmap(lambda key: st.sampled_from([said(key), call(key), output(key)])), max_size=12
)


@given(ITEMS, ITEMS)
def test_whatever_the_history_no_call_or_output_of_the_past_stands_alone(past: list[dict], new: list[dict]) -> None:
    shown = window(past, new)
    split = len(shown) - len(new)
    assert shown[split:] == new
    calls = {item["call_id"] for item in shown[:split] if item["type"] == "function_call"}
    outputs = {item["call_id"] for item in shown if item["type"] == "function_call_output"}
    assert calls <= outputs
    assert {item["call_id"] for item in shown[:split] if item["type"] == "function_call_output"} <= calls
