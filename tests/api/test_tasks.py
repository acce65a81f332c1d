"""Tasks are served as the user's own rows, with the API's errors."""

from typing import Any

import pytest

from tests.api.live import Person


def make(person: Person, title: str, **more: Any) -> dict[str, Any]:
    answer = person.http.post("/api/tasks", json={"title": title, **more})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def test_a_task_is_made_read_changed_completed_and_deleted(ann: Person):
    made = make(ann, "Buy milk", description="two bottles")
    assert set(made) == {"id", "title", "description", "completed", "created_at", "updated_at"}
    assert (made["title"], made["description"], made["completed"]) == ("Buy milk", "two bottles", False)
    assert made["created_at"].endswith("Z")
    path = f"/api/tasks/{made['id']}"
    assert ann.http.get(path).json() == made
    changed = ann.http.patch(path, json={"title": "Buy oat milk", "description": None}).json()
    assert (changed["title"], changed["description"], changed["completed"]) == ("Buy oat milk", None, False)
    for _ in range(2):
        assert ann.http.post(f"{path}/complete").json()["completed"] is True
    assert ann.http.patch(path, json={"completed": False}).json()["completed"] is False
    assert ann.http.delete(path).status_code == 204
    assert ann.http.get(path).status_code == 404
    assert ann.http.delete(path).status_code == 404


def test_tasks_are_listed_by_page_and_by_state(ann: Person):
    made = [make(ann, str(number))["id"] for number in range(5)]
    ann.http.post(f"/api/tasks/{made[1]}/complete")
    found: list[int] = []
    params: dict[str, Any] = {"limit": 2}
    while True:
        page = ann.http.get("/api/tasks", params=params).json()
        found += [task["id"] for task in page["data"]]
        assert page["has_more"] == (page["next"] is not None)
        if not page["has_more"]:
            break
        params["after"] = page["next"]
    assert found == made
    done = ann.http.get("/api/tasks", params={"completed": "true"}).json()
    assert [task["id"] for task in done["data"]] == [made[1]]


@pytest.mark.parametrize(
    "body, param",
    [
        ({}, "title"),
        ({"title": ""}, "title"),
        ({"title": None}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"title": "a\x00"}, "title"),
        ({"title": "x", "description": "x" * 1001}, "description"),
        ({"title": "x", "description": 5}, "description"),
        ({"title": "x", "completed": True}, "completed"),
        ({"title": "x", "user_id": "bob"}, "user_id"),
    ],
)
def test_a_bad_task_is_refused_by_its_field(ann: Person, body: dict[str, Any], param: str):
    answer = ann.http.post("/api/tasks", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert ann.http.get("/api/tasks").json()["data"] == []


@pytest.mark.parametrize("body", [{}, {"completed": "yes"}, {"completed": None}, {"title": None}, {"id": 1}])
def test_a_bad_change_changes_nothing(ann: Person, body: dict[str, Any]):
    made = make(ann, "Buy milk")
    assert ann.http.patch(f"/api/tasks/{made['id']}", json=body).status_code == 400
    assert ann.http.get(f"/api/tasks/{made['id']}").json() == made


def test_somebody_elses_task_looks_like_a_missing_one(ann: Person, bob: Person):
    theirs = make(ann, "secret")
    for missing in ("999999999", "99999999999999999999", "text", "0x1", "%00", "-1", "٣"):
        for method, path, body in (
            ("GET", "", None),
            ("PATCH", "", {"title": "mine"}),
            ("POST", "/complete", None),
            ("DELETE", "", None),
        ):
            foreign = bob.http.request(method, f"/api/tasks/{theirs['id']}{path}", json=body)
            unknown = bob.http.request(method, f"/api/tasks/{missing}{path}", json=body)
            assert (foreign.status_code, unknown.status_code) == (404, 404), (method, missing, unknown.text)
            assert foreign.json()["error"]["code"] == unknown.json()["error"]["code"] == "not_found"
    assert ann.http.get(f"/api/tasks/{theirs['id']}").json() == theirs
    assert bob.http.get("/api/tasks").json()["data"] == []
