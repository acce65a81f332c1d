"""Items are normalised as the API does it, kept exactly, and refused with the path of what is wrong."""

import json
from typing import Any
from uuid import UUID

import pytest

from hansard.utils.ids import spell
from tests.api.live import Person
from tests.api.samples import sample

NAUGHTY = {
    "NUL": "a\x00b",
    "lone surrogate": "\ud83d",
    "reversed surrogates": "\udc00\ud800",
    "decomposed": "e\u0301",
    "CRLF": "a\r\nb\rc",
    "astral": "😀" * 10_000,
    "separators": "\u2028\u2029\u0085",
    "escapes": '\\u0041\\"</script>',
}


@pytest.fixture
def home(ann: Person) -> str:
    """The path of a new conversation's items."""
    return f"/v1/conversations/{ann.http.post('/v1/conversations').json()['id']}/items"


def post(person: Person, path: str, *items: Any) -> Any:
    # Written by hand: clients' own JSON encoders refuse lone surrogates.
    return person.http.post(
        path, content=json.dumps({"items": list(items)}), headers={"content-type": "application/json"}
    )


def stored(person: Person, path: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads(person.http.get(path, params={"order": "asc", "limit": 100}).content)[
        "data"
    ]
    for item in items:
        del item["id"]
    return items


@pytest.mark.parametrize("text", NAUGHTY.values(), ids=NAUGHTY)
def test_text_comes_back_to_the_code_point(ann: Person, home: str, text: str):
    sent: list[dict[str, Any]] = [
        {"role": "user", "content": text},
        {"role": "assistant", "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]},
        {"type": "function_call_output", "call_id": text, "output": text},
        {"type": "of-the-future", text: [text, {text: text}]},
    ]
    answer = post(ann, home, *sent)
    assert answer.status_code == 200, answer.text
    first, second, third, fourth = stored(ann, home)
    assert first["content"][0]["text"] == text
    assert second["content"] == sent[1]["content"]
    assert (third["call_id"], third["output"]) == (text, text)
    assert fourth == sent[3]


def test_numbers_and_key_order_come_back_exactly(ann: Person, home: str):
    sent = {"type": "x", "z": 10**40, "a": [1.5, -0.0, 1e300, 0.1], "m": {"b": None, "a": True}, "": ""}
    assert post(ann, home, sent).status_code == 200
    assert json.dumps(stored(ann, home)[0]) == json.dumps(sent)


def test_an_item_of_a_mebibyte_is_kept_and_a_larger_one_refused(ann: Person, home: str):
    frame = len(json.dumps({"type": "x", "t": ""}, separators=(",", ":")))
    text = "ß" * ((1024 * 1024 - frame) // 2)
    assert post(ann, home, {"type": "x", "t": text}).status_code == 200
    assert stored(ann, home) == [{"type": "x", "t": text}]
    refused = post(ann, home, {"role": "user", "content": "fine"}, {"type": "x", "t": text + "xx"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "item_too_large")
    assert refused.json()["error"]["param"] == "items[1]"
    assert len(stored(ann, home)) == 1


def completed(role: str, *parts: Any) -> dict[str, Any]:
    return {"type": "message", "role": role, "status": "completed", "content": list(parts)}


OUTPUT_TEXT = {"type": "output_text", "text": "x", "annotations": [], "logprobs": []}
INPUT_TEXT = {"type": "input_text", "text": "x"}


@pytest.mark.parametrize(
    "sent, expected",
    [
        ({"role": "user", "content": "x"}, completed("user", INPUT_TEXT)),
        ({"role": "system", "content": "x"}, completed("system", INPUT_TEXT)),
        ({"role": "assistant", "content": "x"}, completed("assistant", OUTPUT_TEXT)),
        ({"content": "x", "role": "user", "type": "message"}, completed("user", INPUT_TEXT)),
        ({"type": None, "role": "user", "content": "x", "status": None}, completed("user", INPUT_TEXT)),
        ({"role": "user", "content": []}, completed("user")),
        ({"role": "user", "content": [INPUT_TEXT]}, completed("user", INPUT_TEXT)),
        ({"role": "assistant", "content": [{"type": "output_text", "text": "x"}]}, completed("assistant", OUTPUT_TEXT)),
        (
            {"role": "user", "content": [{"type": "input_image", "image_url": "u"}]},
            completed("user", {"type": "input_image", "image_url": "u", "detail": "auto"}),
        ),
        (
            {"role": "assistant", "phase": "final_answer", "content": "x", "status": "incomplete"},
            {
                "type": "message",
                "role": "assistant",
                "phase": "final_answer",
                "content": [OUTPUT_TEXT],
                "status": "incomplete",
            },
        ),
        (
            {"call_id": "c", "type": "function_call", "arguments": "{}", "name": "f"},
            {"call_id": "c", "type": "function_call", "arguments": "{}", "name": "f", "status": "completed"},
        ),
        ({"type": "x", "b": 1, "a": 2}, {"type": "x", "b": 1, "a": 2}),
    ],
)
def test_what_a_client_may_leave_out_is_filled_in(ann: Person, home: str, sent: Any, expected: Any):
    assert post(ann, home, {**sent, "id": None}).status_code == 200
    # As text: the order of the keys counts.
    assert json.dumps(stored(ann, home)[0]) == json.dumps(expected)


def without(kind: str, field: str) -> dict[str, Any]:
    return {key: value for key, value in sample(kind).items() if key != field}


@pytest.mark.parametrize(
    "item, param, code",
    [
        ("text", "", "invalid_type"),
        (None, "", "invalid_type"),
        ({}, ".type", "missing_required_parameter"),
        ({"type": 5}, ".type", "invalid_type"),
        ({"type": ""}, ".type", "invalid_value"),
        ({"type": "x" * 65}, ".type", "invalid_value"),
        ({"type": "x", "id": 7}, ".id", "invalid_type"),
        ({"type": "item_reference"}, ".id", "missing_required_parameter"),
        ({"role": "wizard", "content": "x"}, ".role", "invalid_value"),
        ({"role": ["user"], "content": "x"}, ".role", "invalid_type"),
        ({"role": "user"}, ".content", "missing_required_parameter"),
        ({"role": "user", "content": None}, ".content", "invalid_type"),
        ({"role": "user", "content": 5}, ".content", "invalid_type"),
        ({"role": "user", "content": ["x"]}, ".content[0]", "invalid_type"),
        ({"role": "user", "content": [{"text": "x"}]}, ".content[0].type", "missing_required_parameter"),
        ({"role": "user", "content": [{"type": "input_text"}]}, ".content[0].text", "missing_required_parameter"),
        (
            {"role": "user", "content": [INPUT_TEXT, {"type": "refusal", "refusal": 1}]},
            ".content[1].refusal",
            "invalid_type",
        ),
        ({"role": "user", "content": "x", "status": "done"}, ".status", "invalid_value"),
        ({"role": "user", "content": "x", "status": 1}, ".status", "invalid_type"),
        (without("function_call", "call_id"), ".call_id", "missing_required_parameter"),
        ({**sample("function_call"), "arguments": {}}, ".arguments", "invalid_type"),
        (without("function_call_output", "output"), ".output", "missing_required_parameter"),
        (without("mcp_approval_response", "approve"), ".approve", "missing_required_parameter"),
        ({**sample("mcp_approval_response"), "approve": "yes"}, ".approve", "invalid_type"),
        (without("reasoning", "summary"), ".summary", "missing_required_parameter"),
    ],
)
def test_a_bad_item_refuses_the_whole_batch_by_its_path(ann: Person, home: str, item: Any, param: str, code: str):
    answer = post(ann, home, {"role": "user", "content": "fine"}, item)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert (error["param"], error["code"], error["type"]) == (f"items[1]{param}", code, "invalid_request_error")
    assert stored(ann, home) == []


@pytest.mark.parametrize("odd", [[], {}, None, 1])
def test_parts_that_the_api_has_no_rules_for_are_stored_as_they_came(ann: Person, home: str, odd: Any):
    output = [{"type": odd, "text": odd}]
    answer = post(ann, home, {"type": "function_call_output", "call_id": "call_1", "output": output})
    assert answer.status_code == 200
    assert stored(ann, home)[0]["output"] == output


def test_an_unknown_role_is_told_the_known_ones(ann: Person, home: str):
    message = post(ann, home, {"role": "wizard", "content": "x"}).json()["error"]["message"]
    assert all(f"'{role}'" in message for role in ("user", "assistant", "system", "developer", "tool"))
    assert "wizard" not in message


def test_twenty_items_at_once_and_no_more(ann: Person, home: str):
    batch = [{"role": "user", "content": str(number)} for number in range(21)]
    for path, field in ((home, "items"), ("/v1/conversations", "items")):
        refused = post(ann, path, *batch)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, field)
        assert "20" in refused.json()["error"]["message"]
    assert stored(ann, home) == []
    assert ann.http.get("/v1/conversations").json()["data"][0]["message_count"] == 0
    assert post(ann, home, *batch[:20]).status_code == 200
    assert [item["content"][0]["text"] for item in stored(ann, home)] == [str(number) for number in range(20)]


@pytest.mark.parametrize("body", [b"", b"{}", b'{"items":null}', b'{"items":{}}', b'{"items":[],"more":1}'])
def test_items_are_required_and_nothing_else_is_taken(ann: Person, home: str, body: bytes):
    answer = ann.http.post(home, content=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "more" if b"more" in body else "items")


def test_no_items_append_nothing(ann: Person, home: str):
    assert post(ann, home).json() == {"object": "list", "data": [], "first_id": "", "last_id": "", "has_more": False}


def test_an_item_is_found_by_its_exact_id_only(ann: Person, home: str):
    item_id = post(ann, home, sample("function_call")).json()["data"][0]["id"]
    digits = item_id.removeprefix("fc_")
    assert ann.http.get(f"{home}/{item_id}").status_code == 200
    other_conversation = ann.http.post("/v1/conversations").json()["id"].removeprefix("conv_")
    for wrong in (
        f"msg_{digits}",
        f"xyz_{digits}",
        digits,
        f"fc_{digits[:-1]}2",
        f"fc_{digits[:32]}{'0' * 16}",
        f"fc_{digits[:32]}{'f' * 16}",
        f"fc_{digits[:32]}{'8' + '0' * 15}",
        f"fc_{other_conversation[:32]}{digits[32:]}",
    ):
        for method in ("GET", "DELETE"):
            answer = ann.http.request(method, f"{home}/{wrong}")
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
            assert answer.json()["error"]["message"] == f"Item with id '{wrong}' not found."
    assert len(stored(ann, home)) == 1


def test_deleting_an_item_gives_the_conversation_and_a_second_time_404(ann: Person, home: str):
    first, second = ann.append(home.split("/")[3], "one", "two")
    parent = ann.http.delete(f"{home}/{first}")
    assert (parent.status_code, parent.json()["object"], parent.json()["message_count"]) == (200, "conversation", 1)
    assert ann.http.delete(f"{home}/{first}").status_code == 404
    assert ann.append(home.split("/")[3], "three")[0] not in {first, second}


def test_a_walk_goes_on_after_an_item_that_was_deleted(ann: Person, home: str):
    made = ann.append(home.split("/")[3], *"abcde")
    ann.http.delete(f"{home}/{made[2]}")
    page = ann.http.get(home, params={"after": made[2], "order": "asc"}).json()
    assert [item["id"] for item in page["data"]] == made[3:]


@pytest.mark.parametrize("after", ["", "x", "msg_1", "msg_" + "0" * 48, "msg_" + "f" * 48, "conv_" + "0" * 48])
def test_a_walk_after_what_is_no_item_of_the_conversation_is_404(ann: Person, home: str, after: str):
    answer = ann.http.get(home, params={"after": after})
    assert (answer.status_code, answer.json()["error"]["message"]) == (404, f"Item with id '{after}' not found.")


class TestIdsThatAClientSends:
    """They never become an item's id."""

    def test_an_unknown_id_means_nothing(self, ann: Person, home: str):
        for unknown in ("mine", "msg_1", "msg_" + "1" * 48, "\x00", "msg_" + "f" * 48):
            answer = post(ann, home, {"id": unknown, "role": "user", "content": "x"})
            assert answer.status_code == 200
            assert answer.json()["data"][0]["id"] != unknown

    def test_an_item_that_is_here_already_refuses_the_batch(self, ann: Person, home: str):
        [item_id] = ann.append(home.split("/")[3], "one")
        for again in ({"id": item_id, "role": "user", "content": "x"}, {"type": "item_reference", "id": item_id}):
            answer = post(ann, home, {"role": "user", "content": "fine"}, again)
            assert answer.status_code == 400
            assert answer.json()["error"]["message"] == "Item already in conversation"
            assert answer.json()["error"]["param"] == "items[1].id"
        assert len(stored(ann, home)) == 1

    def test_an_item_of_another_conversation_is_copied_as_it_was(self, ann: Person, home: str):
        [item_id] = ann.append(home.split("/")[3], "original")
        made = ann.http.post("/v1/conversations").json()["id"]
        copies = post(
            ann,
            f"/v1/conversations/{made}/items",
            {"id": item_id, "role": "user", "content": "changed"},
            {"type": "item_reference", "id": item_id},
            {"id": item_id},
        ).json()["data"]
        assert [copy["content"][0]["text"] for copy in copies] == ["original"] * 3
        assert item_id not in {copy["id"] for copy in copies}
        assert ann.http.delete(f"{home}/{item_id}").status_code == 200
        assert len(stored(ann, f"/v1/conversations/{made}/items")) == 3

    def test_a_new_conversation_can_be_made_of_copies(self, ann: Person, home: str):
        [item_id] = ann.append(home.split("/")[3], "original")
        made = ann.http.post("/v1/conversations", json={"items": [{"id": item_id}]}).json()
        assert (made["message_count"], made["title"]) == (1, "original")

    def test_somebody_elses_id_counts_as_unknown(self, ann: Person, bob: Person, home: str):
        [theirs] = ann.append(home.split("/")[3], "secret")
        mine = f"/v1/conversations/{bob.http.post('/v1/conversations').json()['id']}/items"
        missing = spell("msg", UUID(int=0), 1)
        assert post(bob, mine, {"id": theirs, "role": "user", "content": "x"}).json()["data"][0]["content"] == [
            INPUT_TEXT
        ]
        answers = [post(bob, mine, {"type": "item_reference", "id": named}) for named in (theirs, missing)]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert answers[0].text.replace(theirs, missing) == answers[1].text
        assert len(stored(bob, mine)) == 1

    def test_an_id_with_another_types_prefix_is_unknown(self, ann: Person, home: str):
        [item_id] = ann.append(home.split("/")[3], "one")
        answer = post(ann, home, {"type": "item_reference", "id": item_id.replace("msg_", "fc_")})
        assert answer.status_code == 404
