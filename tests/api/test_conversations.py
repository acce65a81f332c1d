"""What the Conversations API lacks: titles, archive, a list by recent activity; and its rules for metadata."""

from itertools import pairwise
from typing import Any

import pytest

from tests.api.live import LiveServer, Person

MISSING = "conv_" + "0" * 48


def make(person: Person, **body: Any) -> dict[str, Any]:
    answer = person.http.post("/v1/conversations", json=body)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def update(person: Person, made: dict[str, Any], **body: Any) -> dict[str, Any]:
    answer = person.http.post(f"/v1/conversations/{made['id']}", json=body)
    assert answer.status_code == 200, answer.text
    changed: dict[str, Any] = answer.json()
    return changed


def walk(person: Person, **params: Any) -> list[str]:
    """All ids, page by page."""
    found: list[str] = []
    while True:
        page = person.http.get("/v1/conversations", params=params).json()
        assert page["object"] == "list"
        found += [conversation["id"] for conversation in page["data"]]
        if not page["has_more"]:
            return found
        params["after"] = page["last_id"]


def test_a_conversation_has_the_fields_of_the_api_and_ours(ann: Person):
    made = make(ann)
    assert {key: value for key, value in made.items() if not key.endswith("_at")} == {
        "id": made["id"],
        "object": "conversation",
        "metadata": {},
        "title": None,
        "title_source": None,
        "message_count": 0,
    }
    assert made["archived_at"] is None
    assert isinstance(made["created_at"], int)
    assert made["created_at"] == made["updated_at"] == made["last_message_at"]
    assert len(made["id"]) == len("conv_") + 48
    assert made["id"].startswith("conv_")
    assert made["id"].endswith("0" * 16)


def test_a_body_may_be_empty_when_nothing_is_required(ann: Person):
    for sent in (b"", b"{}", b'{"items":null,"metadata":null}'):
        answer = ann.http.post("/v1/conversations", content=sent)
        assert (answer.status_code, answer.json()["metadata"]) == (200, {})


def test_the_first_user_message_gives_the_title_until_the_user_does(ann: Person):
    made = make(ann, items=[{"role": "user", "content": "Buy milk"}])
    assert (made["title"], made["title_source"], made["message_count"]) == ("Buy milk", "auto", 1)
    changed = update(ann, made, title="Groceries")
    assert (changed["title"], changed["title_source"]) == ("Groceries", "user")
    assert update(ann, made, title=None)["title"] is None


def test_a_title_can_be_given_at_once(ann: Person):
    made = make(ann, title="Groceries")
    assert (made["title"], made["title_source"]) == ("Groceries", "user")


def test_metadata_is_replaced_as_a_whole_and_null_empties_it(ann: Person):
    made = make(ann, metadata={"a": "1", "b": "2"})
    assert update(ann, made, metadata={"c": "3"})["metadata"] == {"c": "3"}
    assert update(ann, made, title="T")["metadata"] == {"c": "3"}
    assert update(ann, made, metadata=None)["metadata"] == {}


def test_metadata_at_its_limits_comes_back_exactly(ann: Person):
    metadata = {chr(0x1F600 + n) * 64: "ß" * 512 for n in range(16)}
    made = make(ann, metadata=metadata)
    assert made["metadata"] == metadata
    assert list(made["metadata"]) == list(metadata)


@pytest.mark.parametrize(
    "body",
    [
        {"metadata": {str(n): "v" for n in range(17)}},
        {"metadata": {"k" * 65: "v"}},
        {"metadata": {"k": "v" * 513}},
        {"metadata": {"k": 1}},
        {"metadata": []},
        {"title": "t" * 256},
        {"title": ""},
        {"title": "a\x00b"},
        {"title": 1},
        {"archived": "yes"},
        {"archived": None},
        {"other": 1},
        {},
    ],
)
def test_an_update_beyond_the_rules_changes_nothing(ann: Person, body: dict[str, Any]):
    made = make(ann, title="T", metadata={"a": "b"})
    answer = ann.http.post(f"/v1/conversations/{made['id']}", json=body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["param"].startswith(next(iter(body), "metadata"))
    assert ann.http.get(f"/v1/conversations/{made['id']}").json() == made


def test_the_list_follows_activity_and_not_renaming(ann: Person):
    first, second, third = (make(ann)["id"] for _ in range(3))
    assert walk(ann) == [third, second, first]
    ann.append(first, "news")
    assert walk(ann) == [first, third, second]
    update(ann, {"id": second}, title="renamed")
    assert walk(ann) == [first, third, second]


def test_the_list_pages_without_a_gap_or_a_repetition(ann: Person):
    made = [make(ann)["id"] for _ in range(23)]
    assert walk(ann, limit=5) == made[::-1]
    page = ann.http.get("/v1/conversations", params={"limit": 5}).json()
    assert page["first_id"] == made[-1]


def test_an_empty_list_has_empty_ids(ann: Person):
    page = ann.http.get("/v1/conversations").json()
    assert page == {"object": "list", "data": [], "first_id": "", "last_id": "", "has_more": False}


def test_archived_conversations_have_a_list_of_their_own(ann: Person):
    first, second = make(ann), make(ann)
    archived = update(ann, first, archived=True)
    assert archived["archived_at"] >= first["created_at"]
    assert walk(ann) == [second["id"]]
    assert walk(ann, archived="true") == [first["id"]]
    assert update(ann, first, archived=False)["archived_at"] is None
    assert walk(ann) == [second["id"], first["id"]]


def test_a_cursor_is_good_only_where_it_was_made(ann: Person, bob: Person):
    for _ in range(3):
        make(ann)
        make(bob)
    cursor = ann.http.get("/v1/conversations", params={"limit": 1}).json()["last_id"]
    refused = [
        bob.http.get("/v1/conversations", params={"after": cursor}),
        ann.http.get("/v1/conversations", params={"after": cursor, "archived": "true"}),
        *(
            ann.http.get("/v1/conversations", params={"after": bad})
            for bad in ("", "x", "é", cursor[:-1], cursor + "A")
        ),
    ]
    for answer in refused:
        assert answer.status_code == 400
        assert (answer.json()["error"]["param"], answer.json()["error"]["code"]) == ("after", "invalid_cursor")
    for one, other in pairwise(refused):
        assert one.json() == other.json()


@pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "", "1.5"])
def test_limits_of_a_page_are_kept(ann: Person, limit: str):
    made = make(ann)
    for path in ("/v1/conversations", f"/v1/conversations/{made['id']}/items"):
        answer = ann.http.get(path, params={"limit": limit})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "limit")


def test_somebody_elses_conversation_looks_like_a_missing_one(ann: Person, bob: Person):
    theirs = make(ann, items=[{"role": "user", "content": "secret"}])
    item = ann.http.get(f"/v1/conversations/{theirs['id']}/items").json()["data"][0]
    calls: list[tuple[str, str, Any]] = [
        ("GET", "", None),
        ("POST", "", {"title": "mine now"}),
        ("DELETE", "", None),
        ("GET", "/items", None),
        ("POST", "/items", {"items": [{"role": "user", "content": "intruder"}]}),
        ("POST", "/items", {"items": []}),
        ("GET", f"/items/{item['id']}", None),
        ("DELETE", f"/items/{item['id']}", None),
    ]
    for method, path, body in calls:
        foreign = bob.http.request(method, f"/v1/conversations/{theirs['id']}{path}", json=body)
        missing = bob.http.request(method, f"/v1/conversations/{MISSING}{path}", json=body)
        assert foreign.status_code == missing.status_code == 404, (method, path)
        assert foreign.text.replace(theirs["id"], MISSING) == missing.text
    assert ann.http.get(f"/v1/conversations/{theirs['id']}").json() == theirs
    assert walk(bob) == []


@pytest.mark.parametrize(
    "conversation_id",
    ["conv_1", "conv_" + "0" * 47 + "1", "CONV_" + "0" * 48, "msg_" + "0" * 48, "x", "a%00b", "%F0%9F"],
)
def test_what_cannot_be_an_id_names_nothing(sqlite_server: LiveServer, conversation_id: str):
    answer = sqlite_server.newcomer().http.get(f"/v1/conversations/{conversation_id}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
