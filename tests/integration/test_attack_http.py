"""Attack: every operation of the HTTP API with another user's ids, cursors and keys.

Somebody else's thing answers exactly as a missing one: the same status, and the same body but for the id that was asked
for.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
import pytest

from tests.api.live import LiveServer, Person, serving, settings_for
from tests.support.fortress import standing

SECRET = "only Ada knows"
KEY = "the same key"


class Names(NamedTuple):
    """Hold what a person's things are called, and a name of each kind that nothing has."""

    conversation: str
    item: str
    announced: str
    response: str
    task: str
    conversation_cursor: str
    search_cursor: str


class Attempt(NamedTuple):
    """Hold one request; the names stand in it as ``{fields}``. ``own`` fields name the attacker's own things."""

    label: str
    operation: str
    path: str
    body: str = ""


ATTEMPTS = [
    Attempt("read a conversation", "GET /v1/conversations/{conversation_id}", "/v1/conversations/{conversation}"),
    Attempt(
        "rename a conversation",
        "POST /v1/conversations/{conversation_id}",
        "/v1/conversations/{conversation}",
        '{"title": "mine"}',
    ),
    Attempt("delete a conversation", "DELETE /v1/conversations/{conversation_id}", "/v1/conversations/{conversation}"),
    Attempt(
        "read the items of a conversation",
        "GET /v1/conversations/{conversation_id}/items",
        "/v1/conversations/{conversation}/items",
    ),
    Attempt(
        "go on after an item of a conversation",
        "GET /v1/conversations/{conversation_id}/items",
        "/v1/conversations/{conversation}/items?after={item}",
    ),
    Attempt(
        "go on after somebody else's item in one's own conversation",
        "GET /v1/conversations/{conversation_id}/items",
        "/v1/conversations/{own.conversation}/items?after={item}",
    ),
    Attempt(
        "append to a conversation",
        "POST /v1/conversations/{conversation_id}/items",
        "/v1/conversations/{conversation}/items",
        '{"items": [{"role": "user", "content": "x"}]}',
    ),
    Attempt(
        "append nothing to a conversation",
        "POST /v1/conversations/{conversation_id}/items",
        "/v1/conversations/{conversation}/items",
        '{"items": []}',
    ),
    Attempt(
        "append an item under the id of somebody else's to one's own conversation",
        "POST /v1/conversations/{conversation_id}/items",
        "/v1/conversations/{own.conversation}/items",
        '{"items": [{"type": "message", "id": "{item}", "role": "user", "content": "x"}]}',
    ),
    Attempt(
        "copy an item into one's own conversation",
        "POST /v1/conversations/{conversation_id}/items",
        "/v1/conversations/{own.conversation}/items",
        '{"items": [{"type": "item_reference", "id": "{item}"}]}',
    ),
    Attempt(
        "copy an item that a turn made into a new conversation",
        "POST /v1/conversations",
        "/v1/conversations",
        '{"items": [{"type": "item_reference", "id": "{announced}"}]}',
    ),
    Attempt(
        "read an item",
        "GET /v1/conversations/{conversation_id}/items/{item_id}",
        "/v1/conversations/{conversation}/items/{item}",
    ),
    Attempt(
        "read an item through one's own conversation",
        "GET /v1/conversations/{conversation_id}/items/{item_id}",
        "/v1/conversations/{own.conversation}/items/{item}",
    ),
    Attempt(
        "delete an item",
        "DELETE /v1/conversations/{conversation_id}/items/{item_id}",
        "/v1/conversations/{conversation}/items/{item}",
    ),
    Attempt(
        "delete an item through one's own conversation",
        "DELETE /v1/conversations/{conversation_id}/items/{item_id}",
        "/v1/conversations/{own.conversation}/items/{item}",
    ),
    Attempt(
        "watch a conversation",
        "GET /v1/conversations/{conversation_id}/events",
        "/v1/conversations/{conversation}/events",
    ),
    Attempt(
        "list from another user's cursor", "GET /v1/conversations", "/v1/conversations?after={conversation_cursor}"
    ),
    Attempt(
        "answer in a conversation",
        "POST /v1/responses",
        "/v1/responses",
        '{"input": "x", "conversation": "{conversation}"}',
    ),
    Attempt(
        "answer in a conversation, streaming",
        "POST /v1/responses",
        "/v1/responses",
        '{"input": "x", "conversation": {"id": "{conversation}"}, "stream": true}',
    ),
    Attempt(
        "continue a response",
        "POST /v1/responses",
        "/v1/responses",
        '{"input": "x", "previous_response_id": "{response}"}',
    ),
    Attempt(
        "ask about an item that a turn made",
        "POST /v1/responses",
        "/v1/responses",
        '{"input": [{"type": "item_reference", "id": "{announced}"}]}',
    ),
    Attempt("read a response", "GET /v1/responses/{response_id}", "/v1/responses/{response}"),
    Attempt(
        "resume a response",
        "GET /v1/responses/{response_id}",
        "/v1/responses/{response}?stream=true&starting_after=0",
    ),
    Attempt("delete a response", "DELETE /v1/responses/{response_id}", "/v1/responses/{response}"),
    Attempt("cancel a response", "POST /v1/responses/{response_id}/cancel", "/v1/responses/{response}/cancel"),
    Attempt(
        "read the input of a response",
        "GET /v1/responses/{response_id}/input_items",
        "/v1/responses/{response}/input_items",
    ),
    Attempt("read a task", "GET /api/tasks/{task_id}", "/api/tasks/{task}"),
    Attempt("change a task", "PATCH /api/tasks/{task_id}", "/api/tasks/{task}", '{"title": "mine"}'),
    Attempt("complete a task", "POST /api/tasks/{task_id}/complete", "/api/tasks/{task}/complete"),
    Attempt("delete a task", "DELETE /api/tasks/{task_id}", "/api/tasks/{task}"),
    Attempt("search a conversation", "GET /v1/search", "/v1/search?query=knows&conversation_id={conversation}"),
    Attempt("search on from another user's cursor", "GET /v1/search", "/v1/search?query=hello&after={search_cursor}"),
]
# What names nothing of anybody's.
NAMELESS = {
    "GET /api/tasks",
    "POST /api/tasks",
    "POST /v1/markdown",
    "GET /auth/user",
    "GET /healthz",
    "GET /readyz",
}


@pytest.fixture(scope="module", params=["SQLite", "PostgreSQL, plain login"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    if request.param == "SQLite":
        path = tmp_path_factory.mktemp("attack") / "x.db"
        path.write_bytes(Path(request.getfixturevalue("sqlite_template")).read_bytes())
        with serving(settings_for(f"sqlite:///{path}")) as live:
            yield live
        return
    with standing(request.getfixturevalue("pg_server")) as fortress, serving(settings_for(fortress.plain)) as live:
        yield live


@pytest.fixture(scope="module")
def ada(server: LiveServer) -> Person:
    return server.newcomer()


@pytest.fixture(scope="module")
def eve(server: LiveServer) -> Person:
    return server.newcomer()


def names_of(person: Person) -> Names:
    """Give a person one of everything."""
    secret = {"role": "user", "content": f"hello, {SECRET}"}
    conversations = [made(person, "/v1/conversations", {"items": [secret]}, key=KEY)["id"]]
    conversations.append(made(person, "/v1/conversations", {"items": [secret]})["id"])
    items = person.http.get(f"/v1/conversations/{conversations[0]}/items").json()["data"]
    response = made(person, "/v1/responses", {"input": SECRET, "model": "offline"})
    task = made(person, "/api/tasks", {"title": SECRET})
    listed = person.http.get("/v1/conversations", params={"limit": 1}).json()
    found = person.http.get("/v1/search", params={"query": "hello", "limit": 1}).json()
    return Names(
        conversations[0],
        items[0]["id"],
        response["output"][-1]["id"],
        response["id"],
        str(task["id"]),
        listed["last_id"],
        found["last_id"],
    )


def made(person: Person, path: str, body: object, *, key: str | None = None) -> Any:
    answer = person.http.post(path, json=body, headers={"idempotency-key": key} if key else {})
    assert answer.is_success, answer.text
    return answer.json()


@pytest.fixture(scope="module")
def of_ada(ada: Person) -> Names:
    return names_of(ada)


@pytest.fixture(scope="module")
def of_eve(eve: Person) -> Names:
    return names_of(eve)


def missing(names: Names) -> Names:
    """Return names like these that nothing has; an item's still says which conversation it is in."""
    return names._replace(
        conversation=_another(names.conversation),
        item=_another(names.item),
        announced=_another(names.announced),
        response=_another(names.response),
        task="2147483646",
        conversation_cursor=names.conversation_cursor[::-1],
        search_cursor=names.search_cursor[::-1],
    )


def _another(public_id: str) -> str:
    prefix, _, digits = public_id.partition("_")
    return f"{prefix}_{digits[:20]}{int(digits[20:32], 16) ^ 1:012x}{digits[32:]}"


def ask(person: Person, attempt: Attempt, names: Names, own: Names) -> tuple[int, str]:
    fields = names._asdict() | {f"own.{field}": name for field, name in own._asdict().items()}

    def fill(text: str, *, quoted: bool) -> str:
        return re.sub(r"\{([a-z._]+)\}", lambda field: quote(fields[field[1]]) if quoted else fields[field[1]], text)

    method = attempt.operation.partition(" ")[0]
    body = json.loads(fill(attempt.body, quoted=False)) if attempt.body else None
    with person.http.stream(method, fill(attempt.path, quoted=True), json=body) as answer:
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            return answer.status_code, next(answer.iter_text())  # some streams have no end
        return answer.status_code, answer.read().decode()


def everything_of(person: Person, names: Names) -> list[str]:
    paths = [
        "/v1/conversations",
        f"/v1/conversations/{names.conversation}/items",
        f"/v1/responses/{names.response}",
        f"/v1/responses/{names.response}/input_items",
        "/api/tasks",
        f"/v1/search?query={quote(SECRET)}",
    ]
    return [person.http.get(path).text for path in paths]


def plain(answer: tuple[int, str], names: Names) -> tuple[int, str]:
    """Return what an answer tells, without ids, times and the names that were asked for."""
    status, text = answer
    for cursor in (names.conversation_cursor, names.search_cursor):
        text = text.replace(cursor, "CURSOR")
    text = re.sub(r"_[0-9a-f]{48}", "_ID", text).replace(f"id '{names.task}'", "id 'TASK'")
    return status, re.sub(r'(?<=_at":)[0-9.]+', "TIME", text)


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=[attempt.label for attempt in ATTEMPTS])
def test_somebody_elses_is_like_missing_when_eve_tries_to(ada, eve, of_ada, of_eve, attempt):
    before = everything_of(ada, of_ada)
    nothing = missing(of_ada)
    foreign, absent = ask(eve, attempt, of_ada, of_eve), ask(eve, attempt, nothing, of_eve)
    assert plain(foreign, of_ada) == plain(absent, nothing)
    assert SECRET not in foreign[1]
    assert everything_of(ada, of_ada) == before


@pytest.mark.parametrize("server", ["SQLite"], indirect=True)
@pytest.mark.parametrize("attempt", ATTEMPTS, ids=[attempt.label for attempt in ATTEMPTS])
def test_an_owner_is_answered_otherwise_so_the_attempt_is_a_real_one(server, attempt):
    owner = server.newcomer()
    names = names_of(owner)
    assert plain(ask(owner, attempt, names, names), names) != plain(
        ask(owner, attempt, missing(names), names), missing(names)
    )


def test_every_operation_is_tried(eve):
    described = eve.http.get("/openapi.json").json()["paths"]
    operations = {f"{method.upper()} {path}" for path, methods in described.items() for method in methods}
    assert {attempt.operation for attempt in ATTEMPTS} | NAMELESS == operations


def test_another_users_idempotency_key_is_a_new_one(eve, of_ada, ada):
    body = {"items": [{"role": "user", "content": f"hello, {SECRET}"}]}
    mine = made(eve, "/v1/conversations", body, key=KEY)
    assert mine["id"] != of_ada.conversation
    assert made(eve, "/v1/conversations", body, key=KEY)["id"] == mine["id"]
    assert made(ada, "/v1/conversations", body, key=KEY)["id"] == of_ada.conversation


def test_nobody_is_let_in_without_a_token_or_with_one_for_nobody(server, of_ada):
    with httpx.Client(base_url=server.url, timeout=60, verify=False) as http:
        described = http.get("/openapi.json").json()["paths"]
        closed = [
            (method, re.sub(r"\{.*?\}", of_ada.conversation, path))
            for path, methods in described.items()
            for method, operation in methods.items()
            if operation.get("security")
        ]
        assert len(closed) > 20
        for headers in ({}, {"authorization": "Bearer x"}, {"authorization": "Basic YWRhOg=="}):
            for method, path in closed:
                answer = http.request(method, path, headers=headers)
                assert (answer.status_code, answer.headers["www-authenticate"][:6]) == (401, "Bearer"), (method, path)
                assert answer.json()["error"].keys() == {"message", "type", "param", "code"}
                assert SECRET not in answer.text
