"""A request costs the same few statements, however long the history and however many the conversations."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI

from tests.api.live import LiveServer, Person, serving, settings_for


@pytest.fixture(scope="module")
def counted(database_url: str) -> Iterator[tuple[LiveServer, list[str]]]:
    """A server, and the statements that it sends."""
    apps: list[FastAPI] = []
    sent: list[str] = []
    with serving(settings_for(database_url), prepare=apps.append) as live:
        apps[0].state.edge.store.database.on_statement = sent.append
        yield live, sent


def test_statements_do_not_grow(counted: tuple[LiveServer, list[str]]):
    server, sent = counted
    ann = server.newcomer()

    def statements(method: str, path: str, body: Any = None) -> int:
        sent.clear()
        assert ann.http.request(method, path, json=body).status_code == 200
        return len(sent)

    home = f"/v1/conversations/{ann.http.post('/v1/conversations').json()['id']}"
    [first] = ann.append(home.rpartition("/")[2], "first")
    calls: dict[str, Callable[[], int]] = {
        "get": lambda: statements("GET", home),
        "list": lambda: statements("GET", "/v1/conversations?limit=100"),
        "items": lambda: statements("GET", f"{home}/items?limit=100"),
        "after": lambda: statements("GET", f"{home}/items?limit=100&order=asc&after={first}"),
        "item": lambda: statements("GET", f"{home}/items/{first}"),
        "append": lambda: statements("POST", f"{home}/items", {"items": [{"role": "user", "content": "x"}]}),
        "rename": lambda: statements("POST", home, {"title": "x"}),
    }
    before = {name: call() for name, call in calls.items()}
    grow(ann, home)
    assert {name: call() for name, call in calls.items()} == before
    assert max(before.values()) <= 3


def grow(person: Person, home: str) -> None:
    for _ in range(6):
        person.append(home.rpartition("/")[2], *"abcdefghijklmnopqrst")
    for _ in range(30):
        person.http.post("/v1/conversations")
