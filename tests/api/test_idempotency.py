"""Idempotency-Key: a writing request that is sent again is answered as the first time, and changes nothing."""

import concurrent.futures
import json
import threading
from datetime import timedelta

import pytest

from hansard.utils.clock import utc_now
from hansard.utils.ids import new_uuid, spell
from tests.api.live import serving, settings_for

HEADER = "Idempotency-Key"
MESSAGE = {"role": "user", "content": "Hi \x00 \U0001f984 é"}


@pytest.fixture
def conversation_id(ann) -> str:
    found: str = ann.http.post("/v1/conversations").json()["id"]
    return found


@pytest.fixture
def task_id(ann) -> int:
    found: int = ann.http.post("/api/tasks", json={"title": "Buy milk"}).json()["id"]
    return found


@pytest.fixture(
    params=[
        ("/v1/conversations", {"items": [MESSAGE], "metadata": {"a": "b"}}),
        ("/v1/conversations", {}),
        ("/v1/conversations/{conversation_id}", {"title": "é"}),
        ("/v1/conversations/{conversation_id}/items", {"items": [MESSAGE, {"type": "new", "x": 1.5}]}),
        ("/v1/conversations/{conversation_id}/items", {"items": []}),
        ("/api/tasks", {"title": "Buy bread"}),
        ("/api/tasks/{task_id}/complete", None),
    ],
    ids=["create", "create empty", "update", "append", "append nothing", "task", "complete"],
)
def writing(request, conversation_id, task_id):
    """Every request that writes: its path and body."""
    path, body = request.param
    return path.format(conversation_id=conversation_id, task_id=task_id), body


def everything(person):
    conversations = person.http.get("/v1/conversations").json()["data"]
    items = [person.http.get(f"/v1/conversations/{one['id']}/items").json() for one in conversations]
    return conversations, items, person.http.get("/api/tasks").json()


def post(person, path, body, key):
    return person.http.post(path, json=body, headers={HEADER: key})


def error_of(answer):
    assert answer.headers["x-should-retry"] == "false"
    assert answer.headers["x-request-id"]
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["param"]


def test_the_answer_is_the_same_to_the_byte(ann, writing):
    path, body = writing
    first = post(ann, path, body, "k")
    assert first.is_success
    assert "idempotent-replayed" not in first.headers
    before = everything(ann)
    for _ in range(2):
        again = post(ann, path, body, "k")
        assert (again.status_code, again.content) == (first.status_code, first.content)
        assert again.headers["content-type"] == first.headers["content-type"]
        assert again.headers["idempotent-replayed"] == "true"
        assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert everything(ann) == before


def test_without_a_key_every_request_counts(ann, conversation_id):
    for expected in (1, 2):
        ann.append(conversation_id, "Hi")
        assert ann.http.get(f"/v1/conversations/{conversation_id}").json()["message_count"] == expected


def test_repetitions_leave_no_gap(ann, conversation_id):
    path = f"/v1/conversations/{conversation_id}/items"
    for number in (1, 2):
        for _ in range(3):
            [item] = post(ann, path, {"items": [MESSAGE]}, f"k{number}").json()["data"]
            assert item["id"].endswith(f"{number:016x}")


def test_white_space_makes_no_other_request(ann):
    headers = {HEADER: "k", "content-type": "application/json"}
    first = ann.http.post("/v1/conversations", content=b'{"title":"A"}', headers=headers)
    again = ann.http.post("/v1/conversations", content=b'{ "title" : "\\u0041" }\n', headers=headers)
    assert again.content == first.content


@pytest.mark.parametrize(
    "path, body",
    [("/v1/conversations", {"title": "B"}), ("/v1/conversations", {}), ("/api/tasks", {"title": "A"})],
    ids=["value", "missing", "path"],
)
def test_a_key_stands_for_one_request(ann, path, body):
    assert post(ann, "/v1/conversations", {"title": "A"}, "k").is_success
    before = everything(ann)
    assert error_of(post(ann, path, body, "k")) == (400, "idempotency_key_reused", None)
    assert everything(ann) == before


def test_a_request_that_failed_may_be_put_right(ann, conversation_id):
    missing = spell("conv", new_uuid())
    assert post(ann, f"/v1/conversations/{missing}/items", {"items": [MESSAGE]}, "k").status_code == 404
    assert error_of(post(ann, "/v1/conversations", {"title": ""}, "k"))[0] == 400
    assert post(ann, f"/v1/conversations/{conversation_id}/items", {"items": [MESSAGE]}, "k").is_success


def test_everybody_has_keys_of_their_own(ann, bob):
    first, second = (post(person, "/v1/conversations", {"title": "A"}, "k") for person in (ann, bob))
    assert first.json()["id"] != second.json()["id"]
    assert "idempotent-replayed" not in second.headers


def test_a_foreign_conversation_stays_missing(ann, bob, conversation_id):
    path = f"/v1/conversations/{conversation_id}/items"
    assert post(ann, path, {"items": [MESSAGE]}, "k").is_success
    answer = post(bob, path, {"items": [MESSAGE]}, "k")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize("key", [b"", b"x" * 256, b"a\tb", b"\xc3\xa9"])
def test_a_key_is_printable_ascii_and_not_too_long(ann, key):
    answer = ann.http.post("/v1/conversations", json={}, headers=[(HEADER.encode(), key)])
    status, _, param = error_of(answer)
    assert (status, param) == (400, HEADER)


def test_the_longest_key_is_as_good_as_any(ann):
    key = "~" * 255
    first, again = (post(ann, "/v1/conversations", {}, key) for _ in range(2))
    assert again.content == first.content


def test_two_keys_are_refused(ann):
    answer = ann.http.post("/v1/conversations", json={}, headers=[(HEADER, "a"), (HEADER, "b")])
    assert error_of(answer)[::2] == (400, HEADER)


BACKDATE = "UPDATE idempotency_keys SET created_at = ? WHERE user_id = ?"


def test_for_how_long_is_a_setting(ann, database_url, observer):
    settings = settings_for(database_url).model_copy(update={"idempotency_hours": 2})
    with serving(settings) as live:
        there = live.newcomer(ann.user_id)
        for hours, expected in [(0, "true"), (1.9, "true"), (2.1, None)]:
            post(ann, "/v1/conversations", {}, "k")
            made = utc_now() - timedelta(hours=hours)
            observer.execute(BACKDATE, f"{made:%Y-%m-%d %H:%M:%S.%f}+00:00", ann.user_id)
            assert post(there, "/v1/conversations", {}, "k").headers.get("idempotent-replayed") == expected


def at_once(person, path, body, key):
    """Send the same request eight times at the same moment."""
    barrier = threading.Barrier(8)

    def send(_number):
        barrier.wait(30)
        return post(person, path, body, key)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        return list(pool.map(send, range(8)))


def sizes(person):
    conversations, items, tasks = everything(person)
    return len(conversations), sum(len(page["data"]) for page in items), len(tasks["data"])


def test_many_at_once_do_it_once(ann, writing):
    path, body = writing
    before = sizes(ann)
    assert post(ann, path, body, "alone").is_success
    once = [after - earlier for after, earlier in zip(sizes(ann), before, strict=True)]
    answers = at_once(ann, path, body, "k")
    assert {answer.status_code for answer in answers} <= {200, 201}
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    assert list(sizes(ann)) == [earlier + 2 * more for earlier, more in zip(before, once, strict=True)]


def test_many_at_once_run_one_turn(ann, conversation_id):
    body = {"conversation": conversation_id, "input": "add buy milk", "model": "offline"}
    answers = at_once(ann, "/v1/responses", body, "k")
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert {answer.json()["status"] for answer in answers} == {"completed"}
    [turn] = {answer.text for answer in answers}
    listed = ann.http.get(f"/v1/conversations/{conversation_id}/items?order=asc").json()["data"]
    assert listed[1:] == json.loads(turn)["output"] != []
    assert error_of(post(ann, "/v1/responses", {**body, "input": "x"}, "k"))[:2] == (400, "idempotency_key_reused")


class TestARepeatedTurnAfterADeletion:
    """It is the turn of the first time, whatever that began with is gone by now."""

    def respond(self, person, key=None, **body):
        asked = {"input": "add buy milk", "model": "offline", **body}
        return person.http.post("/v1/responses", json=asked, headers={HEADER: key} if key else None)

    @pytest.mark.parametrize("streamed", [False, True])
    def test_of_the_response_before(self, ann, streamed):
        previous = self.respond(ann).json()["id"]
        body = {"previous_response_id": previous, "stream": streamed}
        first = self.respond(ann, "k", **body)
        assert first.is_success
        assert ann.http.delete(f"/v1/responses/{previous}").is_success
        before = everything(ann)
        assert self.respond(ann, "k", **body).content == first.content
        assert everything(ann) == before
        again = self.respond(ann, "other", **body)
        assert (again.status_code, again.json()["error"]["code"]) == (400, "previous_response_not_found")

    def test_of_an_item_it_names(self, ann, conversation_id):
        [item] = ann.append(conversation_id, "Hi")
        body = {"input": [{"type": "item_reference", "id": item}]}
        first = self.respond(ann, "k", **body)
        assert first.is_success
        assert ann.http.delete(f"/v1/conversations/{conversation_id}/items/{item}").is_success
        assert self.respond(ann, "k", **body).content == first.content
        assert self.respond(ann, "other", **body).status_code == 404
        changed = self.respond(ann, "k", **body, metadata={"a": "b"})
        assert error_of(changed)[:2] == (400, "idempotency_key_reused")

    def test_of_itself(self, ann, conversation_id):
        answer = self.respond(ann, "k", conversation=conversation_id)
        made = answer.json()["id"]
        assert ann.http.delete(f"/v1/responses/{made}").is_success
        before = everything(ann)
        again = self.respond(ann, "k", conversation=conversation_id)
        assert (again.status_code, again.json()["error"]["message"]) == (404, f"Response with id '{made}' not found.")
        assert everything(ann) == before


def test_the_sdk_sends_it_as_an_extra_header(ann):
    first, again = (ann.sdk.conversations.create(extra_headers={HEADER: "k"}) for _ in range(2))
    assert first.id == again.id
