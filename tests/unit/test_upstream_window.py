"""A model is shown as much of a conversation as it can read, and never half of a tool's use."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hansard.models.verbatim import message_item
from hansard.services.history import tokens_of, window


def said(text: str) -> dict[str, Any]:
    return message_item("user", "completed", text)


def call(call_id: str) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": "f", "arguments": "{}", "status": "completed"}


def output(call_id: str) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": "1", "status": "completed"}


def cost(*items: dict[str, Any]) -> int:
    return sum(map(tokens_of, items))


def test_the_newest_items_that_fit_are_shown():
    past = [said("a" * 300), said("b" * 300), said("c" * 300)]
    new = [said("d")]
    assert window(past, new, tokens=cost(*past, *new)) == [*past, *new]
    assert window(past, new, tokens=cost(*past, *new) - 1) == [*past[1:], *new]
    assert window(past, new, tokens=cost(*past[2:], *new)) == [*past[2:], *new]
    assert window(past, new, tokens=cost(*new)) == new


def test_the_new_items_are_shown_however_many_they_are():
    new = [said("x" * 3000), said("y" * 3000)]
    assert window([said("past")], new, tokens=10) == new


def test_an_item_that_does_not_fit_ends_the_window_so_that_nothing_is_missing_within():
    past = [said("small"), said("x" * 30_000), said("last")]
    assert window(past, [], tokens=1000) == [said("last")]


def test_a_call_that_the_new_items_answer_is_shown_however_far_back_it_is():
    past = [call("1"), said("x" * 3000), said("y" * 3000)]
    assert window(past, [output("1")], tokens=10) == [call("1"), output("1")]


def test_an_image_costs_what_it_shows_and_not_what_it_weighs():
    image = {"type": "input_image", "image_url": "data:image/png;base64," + "A" * 3_000_000}
    heavy = {"type": "message", "role": "user", "content": [image]}
    assert 1000 < tokens_of(heavy) < 2000


def test_every_text_counts_in_bytes_wherever_it_stands():
    assert tokens_of({"a": "x" * 300}) == tokens_of({"a": {"b": [{"c": "x" * 298}]}})
    assert tokens_of({"a": "世" * 100}) == tokens_of({"a": "x" * 300})
    assert tokens_of({"a": "\ud800" * 100}) == tokens_of({"a": "世" * 100})


KEYS = st.sampled_from("1234")
ITEMS = st.lists(
    st.one_of(st.integers(0, 200).map(lambda size: said("x" * size)), KEYS.map(call), KEYS.map(output)), max_size=14
)


@given(ITEMS, ITEMS, st.integers(min_value=0, max_value=400))
def test_whatever_the_budget_the_window_is_whole_and_within_it(
    past: list[dict[str, Any]], new: list[dict[str, Any]], tokens: int
):
    shown = window(past, new, tokens=tokens)
    split = len(shown) - len(new)
    assert shown[split:] == new
    told = [item for item in shown[:split] if item.get("status") != "incomplete"]
    calls = {item["call_id"] for item in told if item["type"] == "function_call"}
    outputs = [item["call_id"] for item in shown if item["type"] == "function_call_output"]
    assert calls <= set(outputs)
    assert {item["call_id"] for item in told if item["type"] == "function_call_output"} <= calls
    answered = {item["call_id"] for item in new if item["type"] == "function_call_output"}
    needed = [item for item in past if item["type"] == "function_call" and item["call_id"] in answered]
    assert all(item in shown for item in needed)
    others = [item for item in told if item not in needed]
    assert not others or cost(*others, *needed, *new) <= tokens


@given(ITEMS, ITEMS, st.integers(min_value=0, max_value=400))
def test_what_is_shown_of_the_past_is_its_end(past: list[dict[str, Any]], new: list[dict[str, Any]], tokens: int):
    messages = [item for item in past if item["type"] == "message"]
    shown = window(past, new, tokens=tokens)
    kept = [item for item in shown[: len(shown) - len(new)] if item["type"] == "message"]
    assert kept == messages[len(messages) - len(kept) :]
    more = window(past, new, tokens=tokens + 50)
    assert len([item for item in more if item["type"] == "message"]) >= len(
        [item for item in shown if item["type"] == "message"]
    )
