"""Describe in the OpenAPI document what the framework cannot see, because bodies are read and written raw.

Routes say which schemas they speak; headers, errors and examples are added here, by what an operation takes. The
examples are real: `tests/support/http_story.py` asks a live service, and its answers are kept in ``examples.json``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from fastapi import FastAPI

from hansard.api.examples import add_examples
from hansard.api.headers import HEADERS, answered_with
from hansard.api.links import links_of
from hansard.api.refusals import REFUSALS, Refusal, refusals_of
from hansard.api.schemas import SCHEMAS

JSON: Final = "application/json"
EVENTS: Final = "text/event-stream"
TAGS: Final = {
    "Conversations": "Conversations, and the list of them that the OpenAI API lacks.",
    "Items": "What stands in a conversation: messages, calls, anything else; verbatim and in order.",
    "Live view": "A conversation as it happens.",
    "Responses": "Turns: the model answers, and nothing is lost when the client leaves.",
    "Search": "Full-text search over all of the user's items.",
    "Tasks": "The to-do list that the offline assistant keeps.",
    "Markdown": "Markdown as a tree, for pages that build their own elements.",
    "Session": "Who is signed in.",
    "Health": "For those who watch the process.",
}
_ABOUT: Final = (
    "The OpenAI Conversations API, and of the Responses API what an official SDK needs to run a turn; beside them what "
    "they lack: a list of conversations, titles, an archive, search, a live view, and `Idempotency-Key`. Bodies are "
    "JSON. Errors are all of one shape, `Error`, and name the field and the limit. What is somebody else's is answered "
    "like what is not there."
)
_PATHS: Final = {
    "conversation_id": "The conversation's id, `conv_` and 48 hexadecimal digits.",
    "item_id": "The item's id.",
    "response_id": "The response's id, `resp_` and 48 hexadecimal digits.",
    "task_id": "The task's id.",
}


def describes(
    schema: str,
    *,
    status: int = 200,
    description: str | None = None,
    events: str | None = None,
    refuses: Iterable[int] = (),
) -> dict[int | str, dict[str, Any]]:
    """Return FastAPI's ``responses`` for a route that answers with one of our schemas, or with a stream of ``events``.

    ``refuses`` names the errors that do not follow from what the operation takes.
    """
    content = {**_content(JSON, schema), **(stream_of(events) if events else {})}
    told = description or SCHEMAS[schema].get("description", "Done.")
    return {status: {"description": told, "content": content}, **{code: {} for code in refuses}}


def stream_of(events: str) -> dict[str, Any]:
    """Return the content of a stream of server-sent events; what stands there describes each of them."""
    data = {"type": "string", "contentMediaType": JSON, "contentSchema": _ref(events)}
    properties = {
        "id": {"type": "string", "description": "Send it as `Last-Event-ID` to go on behind this event."},
        "event": {"type": "string", "description": "The `type` of the data."},
        "data": {**data, "description": f"JSON: a `{events}`."},
    }
    told = "Server-sent events. Lines that begin with a colon keep the connection open and mean nothing."
    return {EVENTS: {"schema": {"type": "object", "description": told, "properties": properties, "required": ["data"]}}}


def body_of(schema: str, *, required: bool = True) -> dict[str, Any]:
    """Return FastAPI's ``openapi_extra`` for a route that reads one of our schemas."""
    return {"requestBody": {"required": required, "content": _content(JSON, schema)}}


def install(app: FastAPI, *, embedded: bool = False) -> None:
    """Complete the document that the application serves; an ``embedded`` one refuses other hosts."""
    build = app.openapi

    def completed() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _complete(build(), embedded=embedded)
        return app.openapi_schema

    app.openapi = completed  # type: ignore[method-assign] # FastAPI's own way to extend the document


def _complete(document: dict[str, Any], *, embedded: bool) -> dict[str, Any]:
    components = document.setdefault("components", {})
    components["schemas"] = dict(SCHEMAS)
    components["headers"] = dict(HEADERS)
    components["responses"] = {refusal.name: _refused(refusal) for refusal in REFUSALS.values()}
    document["info"] |= {"description": _ABOUT, "license": {"name": "MIT", "identifier": "MIT"}}
    document["servers"] = [{"url": "/", "description": "The service that this document comes from."}]
    used: set[str] = set()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            used.update(operation["tags"])
            _describe_parameters(operation)
            _document_answers(operation, path, embedded=embedded)
    document["tags"] = [{"name": name, "description": told} for name, told in TAGS.items() if name in used]
    add_examples(document)
    return document


def _describe_parameters(operation: dict[str, Any]) -> None:
    """Take away what cannot be sent (a query or header has no null), and say what ids are."""
    for parameter in operation.get("parameters", ()):
        schema = parameter["schema"]
        kinds = [kind for kind in schema.pop("anyOf", ()) if kind != {"type": "null"}]
        if len(kinds) == 1:
            schema |= kinds[0]
        schema.pop("title", None)
        # The framework says it twice.
        schema.pop("description", None)
        if parameter["in"] == "path":
            parameter["description"] = _PATHS[parameter["name"]]


def _document_answers(operation: dict[str, Any], path: str, *, embedded: bool) -> None:
    responses: dict[str, Any] = operation["responses"]
    # Refused input is answered with 400 and our envelope, never with the framework's 422.
    responses.pop("422", None)
    named = {int(status) for status in responses if status >= "400"}
    for status in sorted(named | refusals_of(operation, path, embedded=embedded)):
        responses.pop(str(status), None)
        responses[str(status)] = {"$ref": f"#/components/responses/{REFUSALS[status].name}"}
    for answer in responses.values():
        if "$ref" not in answer:
            answer["headers"] = _headers(*answered_with(operation))
            if links := links_of(operation):
                answer["links"] = links


def _refused(refusal: Refusal) -> dict[str, Any]:
    return {
        "description": refusal.description,
        "headers": _headers("x-request-id", "x-should-retry", *refusal.headers),
        "content": _content(JSON, "Error"),
    }


def _headers(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _content(media_type: str, schema: str) -> dict[str, Any]:
    return {media_type: {"schema": _ref(schema)}}


def _ref(schema: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{schema}"}
