"""A request costs the same few statements, however long the history and however many the conversations."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from fastapi import FastAPI

from hansard.models import Message
from tests.api.live import LiveServer, Person, serving, settings_for

HI = {"role": "user", "content": "Hi"}
KEY = iter(range(1_000_000))


class Home(NamedTuple):
    """Hold what a person has: a conversation whose history grows, and a response and a task in passing."""

    path: str
    first: str
    response: str
    task: str


class Asked(NamedTuple):
    """Hold one request; ``made`` makes what it takes away."""

    method: str
    path: str
    body: Any = None
    made: Callable[[], str] = str
    keyed: bool = False


# By operation; a second request of the same one has a word behind it.
CALLS: dict[str, Callable[[Person, Home], Asked]] = {
    "POST /v1/conversations": lambda _, __: Asked("POST", "/v1/conversations", {"items": [HI]}),
    "POST /v1/conversations keyed": lambda _, __: Asked("POST", "/v1/conversations", {"items": [HI]}, keyed=True),
    "GET /v1/conversations": lambda _, __: Asked("GET", "/v1/conversations?limit=100"),
    "GET /v1/conversations/{conversation_id}": lambda _, home: Asked("GET", home.path),
    "GET /v1/conversations/{conversation_id} with its last response": lambda _, home: Asked(
        "GET", f"{home.path}?include[]=last_response"
    ),
    "POST /v1/conversations/{conversation_id}": lambda _, home: Asked("POST", home.path, {"title": "x"}),
    "DELETE /v1/conversations/{conversation_id}": lambda ann, _: Asked(
        "DELETE", "/v1/conversations/", made=lambda: made(ann, "/v1/conversations", {"items": [HI] * 3})
    ),
    "GET /v1/conversations/{conversation_id}/items": lambda _, home: Asked("GET", f"{home.path}/items?limit=100"),
    "GET /v1/conversations/{conversation_id}/items after": lambda _, home: Asked(
        "GET", f"{home.path}/items?limit=100&order=asc&after={home.first}"
    ),
    "POST /v1/conversations/{conversation_id}/items": lambda _, home: Asked(
        "POST", f"{home.path}/items", {"items": [HI]}
    ),
    "POST /v1/conversations/{conversation_id}/items copied": lambda ann, home: Asked(
        "POST", f"{made_home(ann)}/items", {"items": [{"type": "item_reference", "id": home.first}]}
    ),
    "GET /v1/conversations/{conversation_id}/items/{item_id}": lambda _, home: Asked(
        "GET", f"{home.path}/items/{home.first}"
    ),
    "DELETE /v1/conversations/{conversation_id}/items/{item_id}": lambda ann, home: Asked(
        "DELETE", f"{home.path}/items/", made=lambda: ann.append(home.path.rpartition("/")[2], "x")[0]
    ),
    "GET /v1/responses/{response_id}": lambda _, home: Asked("GET", f"/v1/responses/{home.response}"),
    "POST /v1/responses/{response_id}/cancel": lambda _, home: Asked("POST", f"/v1/responses/{home.response}/cancel"),
    "GET /v1/responses/{response_id}/input_items": lambda _, home: Asked(
        "GET", f"/v1/responses/{home.response}/input_items"
    ),
    "DELETE /v1/responses/{response_id}": lambda ann, home: Asked(
        "DELETE", "/v1/responses/", made=lambda: answered(ann, home.path)
    ),
    "GET /v1/search": lambda _, __: Asked("GET", "/v1/search?query=Hi&limit=100"),
    "GET /api/tasks": lambda _, __: Asked("GET", "/api/tasks"),
    "POST /api/tasks": lambda _, __: Asked("POST", "/api/tasks", {"title": "x"}),
    "GET /api/tasks/{task_id}": lambda _, home: Asked("GET", f"/api/tasks/{home.task}"),
    "PATCH /api/tasks/{task_id}": lambda _, home: Asked("PATCH", f"/api/tasks/{home.task}", {"title": "y"}),
    "POST /api/tasks/{task_id}/complete": lambda _, home: Asked("POST", f"/api/tasks/{home.task}/complete"),
    "DELETE /api/tasks/{task_id}": lambda ann, _: Asked(
        "DELETE", "/api/tasks/", made=lambda: made(ann, "/api/tasks", {"title": "x"})
    ),
}
# What asks the database nothing about a user's things, and the two that last: a turn (see below), and who watches.
OTHERS = {
    "GET /healthz",
    "GET /readyz",
    "GET /auth/user",
    "POST /v1/markdown",
    "POST /v1/responses",
    "GET /v1/conversations/{conversation_id}/events",
}


@pytest.fixture(scope="module")
def counted(database_url: str) -> Iterator[tuple[LiveServer, list[str]]]:
    """A server, and the statements that it sends."""
    apps: list[FastAPI] = []
    sent: list[str] = []
    with serving(settings_for(database_url), prepare=apps.append) as live:
        apps[0].state.edge.store.database.on_statement = sent.append
        yield live, sent


def made(person: Person, path: str, body: Any) -> str:
    return str(person.http.post(path, json=body).json()["id"])


def made_home(person: Person) -> str:
    return f"/v1/conversations/{made(person, '/v1/conversations', {})}"


def answered(person: Person, home: str) -> str:
    return made(person, "/v1/responses", {"conversation": home.rpartition("/")[2], "input": "x", "model": "offline"})


def costs(person: Person, home: Home, sent: list[str]) -> dict[str, int]:
    counts = {}
    for operation, call in CALLS.items():
        asked = call(person, home)
        path = asked.path + asked.made()
        headers = {"idempotency-key": str(next(KEY))} if asked.keyed else {}
        sent.clear()
        answer = person.http.request(asked.method, path, json=asked.body, headers=headers)
        assert answer.is_success, answer.text
        counts[operation] = len(sent)
    return counts


def test_statements_do_not_grow(counted: tuple[LiveServer, list[str]]):
    server, sent = counted
    ann = server.newcomer()
    path = made_home(ann)
    [first] = ann.append(path.rpartition("/")[2], "first")
    home = Home(path, first, answered(ann, made_home(ann)), made(ann, "/api/tasks", {"title": "x"}))
    before = costs(ann, home, sent)
    grow(ann, path)
    assert costs(ann, home, sent) == before
    # With a key also the claim, what it tidies away, and the record of the answer.
    assert before.pop("POST /v1/conversations keyed") <= 9
    assert max(before.values()) <= 5


def test_a_turn_reads_and_writes_items_as_often_however_long_the_history(counted: tuple[LiveServer, list[str]]):
    server, sent = counted
    ann = server.newcomer()
    path = made_home(ann)
    answered(ann, path)

    def about_items() -> Counter[str]:
        sent.clear()
        answered(ann, path)
        # How often events are recorded in between depends on the moment.
        return Counter(statement for statement in sent if "INTO messages" in statement or "FROM messages" in statement)

    before = about_items()
    grow(ann, path)
    assert about_items() == before
    assert sum(before.values()) == 3


def test_every_operation_is_counted(counted: tuple[LiveServer, list[str]]):
    server, _ = counted
    described = server.newcomer().http.get("/openapi.json").json()["paths"]
    operations = {f"{method.upper()} {path}" for path, methods in described.items() for method in methods}
    assert {" ".join(operation.split()[:2]) for operation in CALLS} | OTHERS == operations


def test_a_page_is_served_without_an_object_for_each_row(
    counted: tuple[LiveServer, list[str]], monkeypatch: pytest.MonkeyPatch
):
    server, _ = counted
    ann = server.newcomer()
    path = made_home(ann)
    for _ in range(5):
        ann.append(path.rpartition("/")[2], *"abcdefghijklmnopqrst")
    monkeypatch.setattr(Message, "__new__", refuse)
    with pytest.raises(AssertionError):
        Message()
    assert len(ann.http.get(f"{path}/items?limit=100").json()["data"]) == 100


def refuse(*_: object, **__: object) -> None:
    message = "a row became an object of the ORM"
    raise AssertionError(message)


def grow(person: Person, home: str) -> None:
    for _ in range(6):
        person.append(home.rpartition("/")[2], *"abcdefghijklmnopqrst")
    for _ in range(30):
        person.http.post("/v1/conversations", json={"items": [HI]})
