"""The examples of the OpenAPI document are what the service answers, and answers are what the document says."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import openai
import pytest
from jsonschema_rs import Draft202012Validator

from tests.api.live import LiveServer, settings_for
from tests.api.samples import ITEMS, sample
from tests.support.http_examples import KEPT, PAGE, reference, telling, written
from tests.support.http_story import SDK
from tests.support.http_teller import Teller, events_of


@pytest.fixture(scope="module")
def told(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Teller]:
    """A service that was asked for everything."""
    path = tmp_path_factory.mktemp("database") / "hansard.db"
    path.write_bytes(sqlite_template.read_bytes())
    with telling(settings_for(f"sqlite:///{path}", secret=None), path.parent) as teller:
        yield teller


class Schemas:
    """The document's schemas, each made ready once."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._components = document["components"]
        self._ready: dict[str, Draft202012Validator] = {}

    def of(self, name: str) -> Draft202012Validator:
        if name not in self._ready:
            whole = {"$ref": f"#/components/schemas/{name}", "components": self._components}
            self._ready[name] = Draft202012Validator(whole)
        return self._ready[name]

    def of_item(self, item: Mapping[str, Any]) -> list[str]:
        """The names of the schemas among those of items that this one fits."""
        variants = self._components["schemas"]["ConversationItem"]["anyOf"]
        return [name for variant in variants if self.of(name := named(variant)).is_valid(item)]


def named(reference: Mapping[str, str]) -> str:
    return reference["$ref"].rpartition("/")[2]


@pytest.fixture(scope="module")
def schemas(told: Teller) -> Schemas:
    return Schemas(told.document)


def test_the_kept_examples_are_what_the_service_answers(told: Teller):
    assert written(told.kept()) == KEPT.read_text(), "run `make docs`"


def test_the_reference_page_is_made_from_the_document(tmp_path: Path):
    page = reference(settings_for(f"sqlite:///{tmp_path / 'none.db'}", secret=None))
    assert page == PAGE.read_text(), "run `make docs`"


def test_every_answer_is_as_its_schema_says(told: Teller, schemas: Schemas):
    for exchange in told.exchanges:
        answer = told.operations[exchange["operation"]]["responses"][str(exchange["status"])]
        if "$ref" in answer:
            schemas.of("Error").validate(exchange["answer"])
        elif isinstance(exchange.get("answer"), str):
            data = answer["content"]["text/event-stream"]["schema"]["properties"]["data"]
            events = events_of(exchange["answer"])
            assert events
            for event in events:
                schemas.of(named(data["contentSchema"])).validate(event)
        elif "answer" in exchange:
            schemas.of(named(answer["content"]["application/json"]["schema"])).validate(exchange["answer"])


def test_every_request_is_as_its_schema_says(told: Teller, schemas: Schemas):
    for operation in told.operations.values():
        for content in operation.get("requestBody", {}).get("content", {}).values():
            assert content["examples"], operation["operationId"]
            for example in content["examples"].values():
                schemas.of(named(content["schema"])).validate(example["value"])


def test_every_operation_has_an_example_of_each_answer(told: Teller):
    for name, operation in told.operations.items():
        for status, answer in operation["responses"].items():
            for content in answer.get("content", {}).values():
                assert content["examples"], (name, status)
    for name, answer in told.document["components"]["responses"].items():
        assert answer["content"]["application/json"]["examples"], name


def test_the_code_for_the_sdk_runs(sqlite_server: LiveServer, capsys: pytest.CaptureFixture[str]):
    names: dict[str, Any] = {"openai": openai, "client": sqlite_server.newcomer().sdk}
    for source in SDK.values():
        exec(source, names)
    assert "message msg_" in capsys.readouterr().out


@pytest.mark.parametrize("kind", [*ITEMS, "something_else"])
def test_items_of_every_type_are_as_their_schemas_say(told: Teller, schemas: Schemas, kind: str):
    sent = sample(kind) if kind in ITEMS else {"type": kind, "anything": [1, {"a": None}]}
    schemas.of("InputItem").validate(sent)
    home = told.client.post("/v1/conversations", json={"items": [sent]}).json()["id"]
    [item] = told.client.get(f"/v1/conversations/{home}/items").json()["data"]
    schemas.of("ConversationItem").validate(item)
    # Exactly one, so what it demands does count.
    assert len(schemas.of_item(item)) == 1
