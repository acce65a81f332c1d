"""Put the kept requests and answers of a live service into the OpenAPI document, as its examples."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any, Final

FILE: Final = "examples.json"


def add_examples(document: dict[str, Any]) -> None:
    """Give every operation its examples: of parameters, of bodies, of answers, and how the official SDK asks for it."""
    kept = json.loads(files(__package__).joinpath(FILE).read_text())
    operations = {operation["operationId"]: operation for operation in _operations(document)}
    for exchange in kept["exchanges"]:
        operation = operations.get(exchange["operation"])
        if operation is not None:
            _add_request(operation, exchange)
            _add_answer(document, operation, exchange)
    for name, source in kept["sdk"].items():
        if name in operations:
            sample = {"lang": "python", "label": "OpenAI SDK", "source": source}
            operations[name]["x-codeSamples"] = [sample]


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for operations in document["paths"].values():
        yield from operations.values()


def _add_request(operation: dict[str, Any], exchange: dict[str, Any]) -> None:
    if exchange["status"] >= 400:  # noqa: PLR2004 - what is refused is no example to follow
        return
    sent = {**exchange.get("path", {}), **exchange.get("query", {}), **exchange.get("headers", {})}
    for parameter in operation.get("parameters", ()):
        if parameter["name"] in sent:
            parameter.setdefault("example", sent[parameter["name"]])
    if "body" in exchange:
        [content] = operation["requestBody"]["content"].values()
        _add(content, exchange["title"], exchange["body"])


def _add_answer(document: dict[str, Any], operation: dict[str, Any], exchange: dict[str, Any]) -> None:
    answer = operation["responses"].get(str(exchange["status"]))
    if answer is None:  # an error of another mode
        return
    if "$ref" in answer:
        answer = document["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    if "answer" in exchange:
        media_type = "text/event-stream" if isinstance(exchange["answer"], str) else "application/json"
        _add(answer["content"][media_type], exchange["title"], exchange["answer"])


def _add(content: dict[str, Any], title: str, value: Any) -> None:
    name = "".join(letter if letter.isalnum() else "-" for letter in title.lower()).strip("-")
    content.setdefault("examples", {})[name] = {"summary": title, "value": value}
