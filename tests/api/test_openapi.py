"""The OpenAPI document tells a generator the truth: names, errors, security, bodies, examples."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.api.live import LiveServer

OPERATIONS = {
    "completeTask": ("post", "/api/tasks/{task_id}/complete"),
    "createConversation": ("post", "/v1/conversations"),
    "createConversationItems": ("post", "/v1/conversations/{conversation_id}/items"),
    "createTask": ("post", "/api/tasks"),
    "deleteConversation": ("delete", "/v1/conversations/{conversation_id}"),
    "deleteConversationItem": ("delete", "/v1/conversations/{conversation_id}/items/{item_id}"),
    "deleteTask": ("delete", "/api/tasks/{task_id}"),
    "getConversation": ("get", "/v1/conversations/{conversation_id}"),
    "getConversationItem": ("get", "/v1/conversations/{conversation_id}/items/{item_id}"),
    "getHealth": ("get", "/healthz"),
    "getReadiness": ("get", "/readyz"),
    "getTask": ("get", "/api/tasks/{task_id}"),
    "listConversationItems": ("get", "/v1/conversations/{conversation_id}/items"),
    "listConversations": ("get", "/v1/conversations"),
    "listTasks": ("get", "/api/tasks"),
    "updateConversation": ("post", "/v1/conversations/{conversation_id}"),
    "updateTask": ("patch", "/api/tasks/{task_id}"),
}


@pytest.fixture(scope="module")
def document(sqlite_server: LiveServer) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{sqlite_server.url}/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_operation_ids_are_stable(document: dict[str, Any]):
    found = {operation["operationId"]: (method, path) for method, path, operation in operations(document)}
    assert {name: place for name, place in found.items() if name in OPERATIONS} == OPERATIONS
    assert len(found) == len(list(operations(document)))


def test_all_but_health_asks_for_a_bearer_token(document: dict[str, Any]):
    scheme = document["components"]["securitySchemes"]["bearer"]
    assert (scheme["type"], scheme["scheme"], scheme["bearerFormat"]) == ("http", "bearer", "JWT")
    for _, path, operation in operations(document):
        assert ("security" in operation) == (path not in {"/healthz", "/readyz"}), path
        assert operation["tags"]
        assert operation["summary"]


def test_errors_are_documented_and_the_frameworks_own_is_not(document: dict[str, Any]):
    for method, path, operation in operations(document):
        expected = {"400", "500", "503"}
        expected |= {"401", "403", "429"} if "security" in operation else set()
        expected |= {"404"} if "{" in path else set()
        expected |= {"408", "413", "415"} if "requestBody" in operation else set()
        errors = {status for status in operation["responses"] if status >= "300"}
        assert errors == expected, (method, path)
        assert any(status < "300" for status in operation["responses"])


def test_every_reference_leads_somewhere(document: dict[str, Any]):
    def references(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                yield value["$ref"]
            for child in value.values():
                yield from references(child)
        elif isinstance(value, list):
            for child in value:
                yield from references(child)

    found = set(references(document))
    assert found
    for reference in found:
        place: Any = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]
        assert place


def test_bodies_that_are_read_are_described(document: dict[str, Any]):
    described = {operation["operationId"] for _, _, operation in operations(document) if "requestBody" in operation}
    assert described >= {
        "createConversation",
        "updateConversation",
        "createConversationItems",
        "createTask",
        "updateTask",
    }


def test_the_examples_of_requests_are_accepted(sqlite_server: LiveServer, document: dict[str, Any]):
    client = sqlite_server.newcomer().http
    schemas = document["components"]["schemas"]
    home = f"/v1/conversations/{client.post('/v1/conversations').json()['id']}"
    task = client.post("/api/tasks", json={"title": "x"}).json()["id"]
    places = {
        "CreateConversation": ("POST", "/v1/conversations"),
        "UpdateConversation": ("POST", home),
        "CreateItems": ("POST", f"{home}/items"),
        "CreateTask": ("POST", "/api/tasks"),
        "UpdateTask": ("PATCH", f"/api/tasks/{task}"),
    }
    for name, (method, path) in places.items():
        answer = client.request(method, path, json=schemas[name]["example"])
        assert answer.status_code in {200, 201}, (name, answer.text)


def test_answers_have_the_fields_of_their_examples(sqlite_server: LiveServer, document: dict[str, Any]):
    client = sqlite_server.newcomer().http
    schemas = document["components"]["schemas"]
    made = client.post("/v1/conversations", json=schemas["CreateConversation"]["example"]).json()
    item = client.get(f"/v1/conversations/{made['id']}/items").json()["data"][0]
    task = client.post("/api/tasks", json=schemas["CreateTask"]["example"]).json()
    for name, answer in (("Conversation", made), ("ConversationItem", item), ("Task", task)):
        example = schemas[name]["example"]
        assert list(answer) == list(example)
        assert {key: type(value) for key, value in answer.items()} == {
            key: type(value) for key, value in example.items()
        }
    assert len(item["id"]) == len(schemas["ConversationItem"]["example"]["id"])
    assert json.dumps(item["content"]) == json.dumps(schemas["ConversationItem"]["example"]["content"])
