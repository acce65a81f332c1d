"""Turn errors into answers: the one place that knows status codes.

Every error has the body ``{"error": {"message", "type", "param", "code"}}`` that OpenAI's SDKs read. 409 is never
used: those SDKs retry it blindly, and nothing here is cured by sending the same request again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final, NamedTuple

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from hansard.api.answers import JsonAnswer
from hansard.api.logs import describe
from hansard.errors import (
    AlreadyExists,
    Conflict,
    ConversationLocked,
    DatabaseError,
    DatabaseUnavailable,
    HansardError,
    IdempotencyConflict,
    InvalidInput,
    NotFound,
    OutcomeUnknown,
    RevisionConflict,
    SchemaOutdated,
    ShuttingDown,
    UnknownUser,
)
from hansard.utils.json_text import write_json

SHOULD_RETRY: Final = "x-should-retry"
_BAD_REQUEST = 400
_SERVER_ERROR = 500
_UNAVAILABLE = 503

# The API's words for what is neither the request's fault nor the server's.
_KINDS: Final[Mapping[int, str]] = {429: "rate_limit_exceeded"}
_CONFLICTS: Final[Mapping[type[Conflict], str]] = {
    AlreadyExists: "already_exists",
    IdempotencyConflict: "idempotency_key_reused",
    RevisionConflict: "revision_conflict",
}
_KEY: Final = "idempotency-key"
_WITH_ITS_KEY: Final = "The database cannot be reached. Send it again with its key: whatever happened, it is done once."
# In the API's own words and code: SDKs and agents wait and try again on exactly this one.
_LOCKED = "Another process is currently operating on this conversation. Please retry in a few seconds."


class ApiError(HansardError):
    """Report what only HTTP has a word for: a missing token, a body too large, too many requests."""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str | None = None,
        param: str | None = None,
        retry: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.fault = Fault(status, message, code, param, retry, headers or {})


class Fault(NamedTuple):
    """Hold everything an error's answer is made of."""

    status: int
    message: str
    code: str | None = None
    param: str | None = None
    retry: bool = False
    headers: Mapping[str, str] = {}

    @property
    def body(self) -> dict[str, str | None]:
        """Return what stands under ``error`` in the answer, or in a stream's error event."""
        kind = _KINDS.get(self.status) or ("server_error" if self.status >= _SERVER_ERROR else "invalid_request_error")
        return {"message": self.message, "type": kind, "param": self.param, "code": self.code}

    def response(self) -> Response:
        """Return the answer to send."""
        headers = {**self.headers, SHOULD_RETRY: "true" if self.retry else "false"}
        return JsonAnswer(write_json({"error": self.body}), self.status, headers)


def fault_of(error: HansardError, *, path_params: Mapping[str, object] | None = None) -> Fault:
    """Say how an error is told to the client.

    With the ``path_params`` of the request a missing thing is named by the id that the client sent, so that a
    foreign, a missing and a malformed id look alike.
    """
    if isinstance(error, ApiError):
        return error.fault
    if isinstance(error, InvalidInput):
        return Fault(_BAD_REQUEST, str(error), error.code, error.param)
    if isinstance(error, NotFound):
        return Fault(404, _not_found(error, path_params or {}), "not_found")
    if isinstance(error, Conflict):
        return _conflict(error)
    if isinstance(error, UnknownUser):
        return Fault(403, str(error), "unknown_user")
    return _server_fault(error)


def unexpected(request_id: str) -> Fault:
    """Say that something went wrong which is nobody's input; the request id finds it in the log."""
    return Fault(_SERVER_ERROR, f"The server had an error. Quote the request id {request_id}.", "internal_error")


def in_doubt() -> Fault:
    """Say that a change may be stored or not."""
    message = "The database was lost while the change was being saved. Read before you write again."
    return Fault(_UNAVAILABLE, message, "outcome_unknown")


def install(app: FastAPI) -> None:
    """Give every error of the application its answer."""
    # Starlette types handlers by the base class, so each narrows what it was registered for.
    handlers: dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
        HansardError: _on_hansard_error,
        HTTPException: _on_http_exception,
        RequestValidationError: _on_validation_error,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


def _not_found(error: NotFound, path_params: Mapping[str, object]) -> str:
    # An identity that is no text is the store's own way to name things and tells a client nothing.
    spelled = error.identity if isinstance(error.identity, str) else None
    sent = path_params.get(f"{error.noun}_id", spelled)
    noun = error.noun.capitalize()
    return f"{noun} not found." if sent is None else f"{noun} with id '{sent}' not found."


def _conflict(error: Conflict) -> Fault:
    if isinstance(error, ConversationLocked):
        return Fault(_BAD_REQUEST, _LOCKED, "conversation_locked", "conversation")
    code = next((code for kind, code in _CONFLICTS.items() if isinstance(error, kind)), "conflict")
    return Fault(_BAD_REQUEST, str(error), code)


def _server_fault(error: HansardError) -> Fault:
    """Tell the client whether trying again can help, and nothing about the inside."""
    if isinstance(error, DatabaseUnavailable):
        message = "The database cannot be reached; nothing was written. Please try again."
        return Fault(_UNAVAILABLE, message, "database_unavailable", retry=True, headers={"retry-after": "1"})
    if isinstance(error, OutcomeUnknown):
        return in_doubt()
    if isinstance(error, ShuttingDown):
        message = "This server is being stopped; nothing was written. Please try again."
        return Fault(_UNAVAILABLE, message, "shutting_down", retry=True, headers={"retry-after": "1"})
    if isinstance(error, SchemaOutdated):
        return Fault(_UNAVAILABLE, "The database is not migrated to this release.", "schema_outdated")
    return Fault(_SERVER_ERROR, "The server had an error while processing your request.", "internal_error")


async def _on_hansard_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HansardError)
    fault = fault_of(error, path_params=request.path_params)
    if isinstance(error, DatabaseUnavailable) and _KEY in request.headers:
        # It may have been the second attempt that found no database, after a first whose end nobody saw.
        fault = fault._replace(message=_WITH_ITS_KEY)
    if fault.status >= _SERVER_ERROR:
        # Told now: the framework forgets where an error came from once it is answered.
        reason = {"reason": str(error)} if isinstance(error, DatabaseError) else {}
        request.scope["hansard.error"] = {**describe(error), **reason}
    return fault.response()


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.NOT_FOUND:
        return Fault(404, f"Unknown URL: {request.method} {request.url.path}", "unknown_url").response()
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers = {"allow": _allowed(request) or headers.get("Allow", "")}
        message = f"{request.method} is not allowed for {request.url.path}"
        return Fault(405, message, "method_not_allowed", headers=headers).response()
    phrase = HTTPStatus(error.status_code).phrase
    return Fault(error.status_code, phrase, phrase.lower().replace(" ", "_"), headers=headers).response()


def _allowed(request: Request) -> str:
    # The framework names the methods of one route; a path has several. The schema knows them all.
    path = getattr(request.scope.get("route"), "path_format", None)
    methods: Mapping[str, object] = request.app.openapi()["paths"].get(path, {})
    return ", ".join(name for method in methods for name in (("GET", "HEAD") if method == "get" else (method.upper(),)))


async def _on_validation_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    param = str(first["loc"][-1])
    if first["type"] == "missing":
        message = f"Missing required parameter: '{param}'."
        return Fault(_BAD_REQUEST, message, "missing_required_parameter", param).response()
    # Pydantic's sentence names the rule; the value itself is never repeated.
    return Fault(_BAD_REQUEST, f"Invalid '{param}': {first['msg']}.", "invalid_value", param).response()
