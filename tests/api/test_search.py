"""GET /v1/search: what is found, shown and refused over HTTP."""

import pytest

from hansard.database import search_index
from hansard.models.search import SearchSettings
from tests.api.live import serving, settings_for
from tests.support.calls import get


@pytest.fixture(scope="module")
def server(database_url):
    assert search_index.apply(database_url, SearchSettings()) == []
    with serving(settings_for(database_url)) as live:
        yield live


@pytest.fixture
def groceries(ann) -> str:
    items = [{"role": "user", "content": "Buy some milk"}, {"role": "assistant", "content": "Oat milk or cow milk?"}]
    found: str = ann.http.post("/v1/conversations", json={"title": "Groceries", "items": items}).json()["id"]
    return found


def search(person, query, **params):
    return person.http.get("/v1/search", params={"query": query, **params})


def found(person, query, **params):
    answer = search(person, query, **params)
    assert answer.status_code == 200, answer.text
    return ["".join(piece["text"] for piece in one["snippet"]) for one in answer.json()["data"]]


def test_a_result_says_what_was_found_and_where(ann, groceries):
    answer = search(ann, "some MILK").json()
    [item] = ann.http.get(f"/v1/conversations/{groceries}/items", params={"order": "asc", "limit": 1}).json()["data"]
    [result] = answer["data"]
    assert result.pop("score") > 0
    assert result.pop("created_at") == ann.http.get(f"/v1/conversations/{groceries}").json()["created_at"]
    assert result == {
        "object": "search.result",
        "item_id": item["id"],
        "item_type": "message",
        "role": "user",
        "conversation_id": groceries,
        "conversation_title": "Groceries",
        "snippet": [
            {"text": "Buy ", "match": False},
            {"text": "some", "match": True},
            {"text": " ", "match": False},
            {"text": "milk", "match": True},
        ],
    }
    assert (answer["object"], answer["first_id"], answer["has_more"]) == ("list", item["id"], False)


def test_nothing_is_found_in_the_same_shape(ann):
    assert search(ann, "milk").json() == {
        "object": "list",
        "data": [],
        "first_id": "",
        "last_id": "",
        "has_more": False,
    }


def test_nobody_finds_what_others_wrote(ann, bob, groceries):
    assert found(bob, "milk") == []
    answer = search(bob, "milk", conversation_id=groceries)
    missing = search(ann, "milk", conversation_id=groceries[:-20] + "0000" + groceries[-16:])
    assert (answer.status_code, missing.status_code) == (404, 404)
    assert answer.json()["error"]["code"] == missing.json()["error"]["code"] == "not_found"


def test_filters_narrow_it(ann, groceries):
    other = ann.http.post("/v1/conversations", json={"items": [{"role": "user", "content": "milk"}]}).json()
    assert len(found(ann, "milk")) == 3
    assert len(found(ann, "milk", conversation_id=groceries)) == 2
    assert found(ann, "milk", role="assistant") == ["Oat milk or cow milk?"]
    assert found(ann, "milk", before_time=other["created_at"] - 60) == []
    assert len(found(ann, "milk", after_time=other["created_at"] - 60)) == 3
    ann.http.post(f"/v1/conversations/{groceries}", json={"archived": True})
    assert found(ann, "milk", archived="false") == ["milk"]
    assert len(found(ann, "milk", archived="true")) == 2


def test_pages_follow_one_another(ann):
    items = [{"role": "user", "content": f"milk {number}"} for number in range(7)]
    ann.http.post("/v1/conversations", json={"items": items})
    walked: list[str] = []
    after = None
    for size in (3, 3, 1):
        page = search(ann, "milk", limit=3, **({"after": after} if after else {})).json()
        assert len(page["data"]) == size
        assert page["has_more"] is (size == 3 and len(walked) < 4)
        walked += [one["item_id"] for one in page["data"]]
        after = page["last_id"]
    assert walked == [one["item_id"] for one in search(ann, "milk", limit=100).json()["data"]]


def test_a_cursor_belongs_to_its_search(ann, bob, groceries):
    after = search(ann, "milk", limit=1).json()["last_id"]
    assert search(ann, "milk", limit=5, after=after).status_code == 200
    for person, query, more in [(ann, "buy", {}), (ann, "milk", {"role": "user"}), (bob, "milk", {})]:
        answer = search(person, query, after=after, **more)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_cursor")


@pytest.mark.parametrize(
    "params, param",
    [
        ({}, "query"),
        ({"query": " "}, "query"),
        ({"query": "-milk"}, "query"),
        ({"query": "x" * 1001}, "query"),
        ({"query": "milk", "limit": "0"}, "limit"),
        ({"query": "milk", "limit": "101"}, "limit"),
        ({"query": "milk", "role": "captain"}, "role"),
        ({"query": "milk", "after_time": "yesterday"}, "after_time"),
        ({"query": "milk", "before_time": "-1"}, "before_time"),
        ({"query": "milk", "before_time": "9" * 30}, "before_time"),
        ({"query": "milk", "archived": "perhaps"}, "archived"),
        ({"query": "milk", "after": "x"}, "after"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(ann, params, param):
    answer = ann.http.get("/v1/search", params=params)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_a_parameter_that_is_missing_is_told_as_in_a_body(ann):
    error = ann.http.get("/v1/search").json()["error"]
    assert error["message"] == "Missing required parameter: 'query'."
    assert (error["code"], error["param"]) == ("missing_required_parameter", "query")


@pytest.mark.parametrize(
    "raw", ["%00", "a%00b", "%ED%A0%80", "%ff", "%27%22%5C", "a%20OR%20b", "%F0%9F%A6%84", "*%3A*"]
)
def test_no_query_is_a_server_error(ann, raw):
    assert ann.http.get(f"/v1/search?query={raw}").status_code == 200


def test_a_stranger_finds_nothing(server):

    answer = get(f"{server.url}/v1/search", params={"query": "milk"})
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "invalid_request_error")


def test_where_search_is_off_there_is_no_such_address(sqlite_url):
    settings = settings_for(sqlite_url).model_copy(update={"search": "off"})
    with serving(settings) as live:
        answer = search(live.newcomer(), "milk")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_url")
