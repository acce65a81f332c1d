"""The API takes Markdown apart for pages that must not, and refuses what is not a list of texts by name."""

import json
from typing import Any

import pytest

from tests.api.live import LiveServer, Person


@pytest.fixture
def ann(sqlite_server: LiveServer) -> Person:
    return sqlite_server.newcomer()


def test_each_text_has_its_tree_in_order(ann: Person):
    body = json.dumps({"texts": ["a", "", "*b*", "\ud800\x00"]})
    answer = ann.http.post("/v1/markdown", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 200, answer.text
    emphasis = {"tag": "em", "children": ["b"]}
    assert answer.json() == {
        "object": "list",
        "data": [
            [{"tag": "p", "children": ["a"]}],
            [],
            [{"tag": "p", "children": [emphasis]}],
            [{"tag": "p", "children": ["\ud800\N{REPLACEMENT CHARACTER}"]}],
        ],
    }


def test_a_hostile_text_costs_only_itself(ann: Person):
    answer = ann.http.post("/v1/markdown", json={"texts": ["[" * 50_000, "b"]})
    assert answer.json()["data"] == [None, [{"tag": "p", "children": ["b"]}]]


def test_strangers_have_nothing_parsed(sqlite_server: LiveServer, ann: Person):
    answer = ann.http.post("/v1/markdown", json={"texts": ["a"]}, headers={"authorization": "Bearer x"})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "body, param",
    [
        ({}, "texts"),
        ({"texts": "a"}, "texts"),
        ({"texts": ["a", 1]}, "texts[1]"),
        ({"texts": ["a"] * 101}, "texts"),
        ({"texts": [], "html": True}, "html"),
    ],
)
def test_what_is_no_list_of_texts_is_refused_by_name(ann: Person, body: dict[str, Any], param: str):
    answer = ann.http.post("/v1/markdown", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
