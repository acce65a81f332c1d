"""Describe in the OpenAPI document what the framework cannot see, because bodies are read and written raw."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI

from hansard.api.schemas import ERRORS, SCHEMAS

_JSON: Final = "application/json"
_ALWAYS: Final = ("400", "500", "503")
_SECURED: Final = ("401", "403", "429")
_NAMED: Final = ("404",)
_WITH_BODY: Final = ("408", "413", "415")


def describes(schema: str, *, status: int = 200, description: str = "Done.") -> dict[int | str, dict[str, Any]]:
    """Return FastAPI's ``responses`` for a route that answers with one of our schemas."""
    return {status: {"description": description, "content": _content(schema)}}


def body_of(schema: str, *, required: bool = True) -> dict[str, Any]:
    """Return FastAPI's ``openapi_extra`` for a route that reads one of our schemas."""
    return {"requestBody": {"required": required, "content": _content(schema)}}


def install(app: FastAPI) -> None:
    """Complete the document that the application serves."""
    build = app.openapi

    def completed() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _complete(build())
        return app.openapi_schema

    app.openapi = completed  # type: ignore[method-assign] # FastAPI's own way to extend the document


def _complete(document: dict[str, Any]) -> dict[str, Any]:
    components = document.setdefault("components", {})
    components["schemas"] = dict(SCHEMAS)
    components["responses"] = {
        name: {"description": description, "content": _content("Error")} for name, description in ERRORS.values()
    }
    for path, operations in document["paths"].items():
        for operation in operations.values():
            _document_errors(operation, named="{" in path)
    return document


def _document_errors(operation: dict[str, Any], *, named: bool) -> None:
    responses: dict[str, Any] = operation["responses"]
    # Refused input is answered with 400 and our envelope, never with the framework's 422.
    responses.pop("422", None)
    statuses = [
        *_ALWAYS,
        *(_SECURED if "security" in operation else ()),
        *(_NAMED if named else ()),
        *(_WITH_BODY if "requestBody" in operation else ()),
    ]
    for status in sorted(statuses):
        responses.setdefault(status, {"$ref": f"#/components/responses/{ERRORS[status][0]}"})


def _content(schema: str) -> dict[str, Any]:
    return {_JSON: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
