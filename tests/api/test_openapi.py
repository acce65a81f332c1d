"""The OpenAPI document tells a generator the truth: names, errors, security, bodies."""

from collections.abc import Iterator
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from hansard.api.errors import Fault
from hansard.api.refusals import REFUSALS
from hansard.api.schemas.items import ABOUT
from hansard.app import create_app
from hansard.models.kinds import KINDS
from tests.api.live import LiveServer, settings_for
from tests.support.calls import get

OPERATIONS = {
    "cancelResponse": ("post", "/v1/responses/{response_id}/cancel"),
    "completeTask": ("post", "/api/tasks/{task_id}/complete"),
    "createConversation": ("post", "/v1/conversations"),
    "createConversationItems": ("post", "/v1/conversations/{conversation_id}/items"),
    "createResponse": ("post", "/v1/responses"),
    "createSession": ("post", "/auth/session"),
    "createTask": ("post", "/api/tasks"),
    "deleteConversation": ("delete", "/v1/conversations/{conversation_id}"),
    "deleteConversationItem": ("delete", "/v1/conversations/{conversation_id}/items/{item_id}"),
    "deleteResponse": ("delete", "/v1/responses/{response_id}"),
    "deleteTask": ("delete", "/api/tasks/{task_id}"),
    "followConversation": ("get", "/v1/conversations/{conversation_id}/events"),
    "getConversation": ("get", "/v1/conversations/{conversation_id}"),
    "getConversationItem": ("get", "/v1/conversations/{conversation_id}/items/{item_id}"),
    "getHealth": ("get", "/healthz"),
    "getReadiness": ("get", "/readyz"),
    "getResponse": ("get", "/v1/responses/{response_id}"),
    "getTask": ("get", "/api/tasks/{task_id}"),
    "getUser": ("get", "/auth/user"),
    "listConversationItems": ("get", "/v1/conversations/{conversation_id}/items"),
    "listConversations": ("get", "/v1/conversations"),
    "listInputItems": ("get", "/v1/responses/{response_id}/input_items"),
    "listTasks": ("get", "/api/tasks"),
    "parseMarkdown": ("post", "/v1/markdown"),
    "searchMessages": ("get", "/v1/search"),
    "updateConversation": ("post", "/v1/conversations/{conversation_id}"),
    "updateTask": ("patch", "/api/tasks/{task_id}"),
}
OPEN = {"getHealth", "getReadiness", "createSession"}
BODY = {400, 408, 413, 415}
ASKED = {401, 429}
# What each operation can answer with, beside 500, 503 and (in embedded mode) 421.
ERRORS = {
    "cancelResponse": {404, *ASKED},
    "completeTask": {403, 404, *ASKED, *BODY},
    "createConversation": {403, 404, *ASKED, *BODY},
    "createConversationItems": {403, 404, *ASKED, *BODY},
    "createResponse": {403, 404, *ASKED, *BODY},
    "createSession": {401, *BODY},
    "createTask": {403, *ASKED, *BODY},
    "deleteConversation": {404, *ASKED},
    "deleteConversationItem": {404, *ASKED},
    "deleteResponse": {404, *ASKED},
    "deleteTask": {404, *ASKED},
    "followConversation": {400, 404, *ASKED},
    "getConversation": {400, 404, *ASKED},
    "getConversationItem": {400, 404, *ASKED},
    "getHealth": set(),
    "getReadiness": set(),
    "getResponse": {400, 404, *ASKED},
    "getTask": {404, *ASKED},
    "getUser": ASKED,
    "listConversationItems": {400, 404, *ASKED},
    "listConversations": {400, *ASKED},
    "listInputItems": {400, 404, *ASKED},
    "listTasks": {400, *ASKED},
    "parseMarkdown": {*ASKED, *BODY},
    "searchMessages": {400, 404, *ASKED},
    "updateConversation": {403, 404, *ASKED, *BODY},
    "updateTask": {404, *ASKED, *BODY},
}


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The document of an embedded service, which has every operation."""
    path = tmp_path_factory.mktemp("embedded") / "never-opened.db"
    return create_app(settings_for(f"sqlite:///{path}", secret=None)).openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_the_document_is_valid(document: dict[str, Any]):
    assert document["openapi"].startswith("3.1.")
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_operation_ids_are_stable(document: dict[str, Any]):
    found = [(operation["operationId"], (method, path)) for method, path, operation in operations(document)]
    assert dict(found) == OPERATIONS
    assert len(found) == len(OPERATIONS)


def test_the_document_served_is_that_of_the_mode(sqlite_server: LiveServer, document: dict[str, Any]):
    served = get(f"{sqlite_server.url}/openapi.json").json()
    assert set(document["paths"]) - set(served["paths"]) == {"/auth/session"}
    assert all("421" not in operation["responses"] for _, _, operation in operations(served))


def test_all_but_health_and_sign_in_asks_for_a_bearer_token(document: dict[str, Any]):
    scheme = document["components"]["securitySchemes"]["bearer"]
    assert (scheme["type"], scheme["scheme"], scheme["bearerFormat"]) == ("http", "bearer", "JWT")
    for _, _, operation in operations(document):
        assert ("security" in operation) == (operation["operationId"] not in OPEN), operation["operationId"]


def test_errors_are_those_that_an_operation_can_answer_with(document: dict[str, Any]):
    for _, _, operation in operations(document):
        name = operation["operationId"]
        errors = {int(status) for status in operation["responses"] if status >= "300"}
        assert errors == {*ERRORS[name], 421, 500, 503}, name
        assert any(status < "300" for status in operation["responses"])


def test_everything_is_told_in_words(document: dict[str, Any]):
    tags = {tag["name"] for tag in document["tags"] if tag["description"]}
    for _, _, operation in operations(document):
        name = operation["operationId"]
        assert set(operation["tags"]) <= tags, name
        assert operation["summary"], name
        assert operation["description"], name
        for parameter in operation.get("parameters", ()):
            assert parameter["description"], (name, parameter["name"])
            assert "null" not in str(parameter["schema"]), (name, parameter["name"])
    for name, schema in document["components"]["schemas"].items():
        assert schema["description"], name
    assert set(ABOUT) == set(KINDS)


def test_fields_are_told_in_words(document: dict[str, Any]):
    for name in ("Conversation", "CreateConversation", "UpdateConversation", "SearchResult", "ResponseObject", "Task"):
        for field, schema in document["components"]["schemas"][name]["properties"].items():
            known = "description" in schema or "const" in schema or "$ref" in str(schema)
            assert known, (name, field)


@pytest.mark.parametrize("status", REFUSALS)
def test_every_error_is_as_its_schema_says(document: dict[str, Any], status: int):
    known = document["components"]["schemas"]["ErrorDetails"]
    told = Fault(status, "What is wrong.").body
    assert list(told) == known["required"]
    assert told["type"] in known["properties"]["type"]["enum"]
