"""Answer requests without what FastAPI does anew for each of them. See docs/decisions/0027-http-overhead.md.

Routes stay declared as FastAPI wants them, and it goes on to describe them. What a route needs is the same for every
request, though, so it is worked out once, when the service starts: which dependencies to call, in which order, with
which parameters. A request that this covers goes straight to its handler; any other goes the framework's own way.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeAlias

from fastapi import APIRouter
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import request_params_to_args
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.convertors import StringConvertor
from starlette.datastructures import Headers, QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

Arguments: TypeAlias = dict[str, Any]
# What was read of the request, and what is wrong with it.
Read: TypeAlias = tuple[Arguments, Sequence[Any]]
Reader: TypeAlias = Callable[[Request], Read]
Handler: TypeAlias = Callable[[Request], Awaitable[Response]]

_NOTHING: Final[Any] = object()
_QUERIES: Final = 256
_QUERY_BYTES: Final = 256


class Lane:
    """Serve the routes of these routers; whatever is none of them is for the rest of the application."""

    def __init__(self, app: ASGIApp, routers: Sequence[APIRouter]) -> None:
        self._app = app
        self._routes: dict[tuple[str, int], list[tuple[APIRoute, re.Pattern[str], Handler]]] = {}
        for route, handler in _compiled(routers):
            if handler is None:
                continue
            for method in route.methods or ():
                self._routes.setdefault((method, route.path.count("/")), []).append((route, route.path_regex, handler))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        handler = self._find(scope) if scope["type"] == "http" and not scope.get("root_path") else None
        if handler is None:
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive, send)
        try:
            response = await handler(request)
        except Exception as error:
            told = _told(scope, error)
            if told is None:
                raise
            response = await told(request, error)
        await response(scope, receive, send)

    def _find(self, scope: Scope) -> Handler | None:
        path: str = scope["path"]
        for route, pattern, handler in self._routes.get((scope["method"], path.count("/")), ()):
            found = pattern.match(path)
            if found is not None:
                # As `Route.matches` does it; all parameters are strings, see `_compile`.
                scope.update(route=route, endpoint=route.endpoint, path_params=found.groupdict())
                return handler
        return None


@dataclass(frozen=True, slots=True)
class _Step:
    """Call something with what earlier steps returned and what is read of the request; keep what it returns."""

    call: Callable[..., Awaitable[Any]]
    needs: tuple[tuple[str | None, int], ...]
    readers: tuple[Reader, ...]
    request_name: str | None

    def arguments(self, request: Request, found: list[Any], errors: list[Any]) -> Arguments | None:
        """Return what to call it with, and add what is wrong with that to the errors; ``None`` where it cannot be."""
        # As long as nothing is wrong, everything is there.
        possible = not errors or all(found[place] is not _NOTHING for _, place in self.needs)
        arguments: Arguments = {name: found[place] for name, place in self.needs if name is not None}
        for read in self.readers:
            values, wrong = read(request)
            arguments.update(values)
            if wrong:
                errors += wrong
                possible = False
        if self.request_name is not None:
            arguments[self.request_name] = request
        return arguments if possible else None


def left_to_the_framework(routers: Sequence[APIRouter]) -> list[str]:
    """Return the paths of those routes that only the framework can serve."""
    return [route.path for route, handler in _compiled(routers) if handler is None]


def _compiled(routers: Sequence[APIRouter]) -> Iterator[tuple[APIRoute, Handler | None]]:
    for router in routers:
        for route in router.routes:
            assert isinstance(route, APIRoute)
            yield route, _compile(route)


def _compile(route: APIRoute) -> Handler | None:
    """Return what answers a request of this route, or ``None`` where only the framework can."""
    plain = all(isinstance(one, StringConvertor) for one in route.param_convertors.values())
    if not plain or route.response_model is not None or route.body_field is not None:
        return None
    steps: list[_Step] = []
    if _plan(route.dependant, steps, {}) is None:
        return None

    async def handle(request: Request) -> Response:
        found: list[Any] = []
        errors: list[Any] = []
        for step in steps:
            arguments = step.arguments(request, found, errors)
            found.append(_NOTHING if arguments is None else await step.call(**arguments))
        if errors:
            raise RequestValidationError(errors)
        response: Response = found[-1]
        return response

    return handle


def _plan(dependant: Dependant, steps: list[_Step], places: dict[Any, int]) -> int | None:
    """Add the steps of a dependency after those that it needs; return its own place, ``None`` when it has none here."""
    needs = []
    for needed in dependant.dependencies:
        place = places.get(needed.call)
        if place is None:
            place = _plan(needed, steps, places)
        if place is None:
            return None
        needs.append((needed.name, place))
    call = dependant.call
    if call is None or not _is_plain(dependant):
        return None
    request_name = dependant.request_param_name or dependant.http_connection_param_name
    steps.append(_Step(call, tuple(needs), tuple(_readers(dependant)), request_name))
    places[call] = len(steps) - 1
    return places[call]


def _is_plain(dependant: Dependant) -> bool:
    """Say whether a dependency is a coroutine that needs nothing but the request, its parameters and others."""
    beyond = (
        dependant.body_params,
        dependant.cookie_params,
        dependant.websocket_param_name,
        dependant.response_param_name,
        dependant.background_tasks_param_name,
        dependant.security_scopes_param_name,
    )
    call = dependant.call
    is_coroutine = inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(getattr(call, "__call__", None))  # noqa: B004 - an instance may be a coroutine function by its class
    return is_coroutine and dependant.use_cache and not any(beyond)


def _readers(dependant: Dependant) -> Iterator[Reader]:
    if dependant.path_params:
        yield _path_reader(dependant)
    if dependant.query_params:
        yield _query_reader(dependant)
    if dependant.header_params:
        yield _header_reader(dependant)


def _path_reader(dependant: Dependant) -> Reader:
    fields = dependant.path_params
    if all(field.field_info.annotation is str and not field.field_info.metadata for field in fields):
        names = [field.name for field in fields]
        return lambda request: ({name: request.path_params[name] for name in names}, ())
    return lambda request: request_params_to_args(fields, request.path_params)


def _query_reader(dependant: Dependant) -> Reader:
    fields = dependant.query_params

    def read(raw: bytes) -> Read:
        return request_params_to_args(fields, QueryParams(raw))

    # Clients ask in few ways, and the same text always means the same values, which nobody changes.
    known = lru_cache(maxsize=_QUERIES)(read)

    def reader(request: Request) -> Read:
        raw: bytes = request.scope["query_string"]
        return known(raw) if len(raw) <= _QUERY_BYTES else read(raw)

    return reader


def _header_reader(dependant: Dependant) -> Reader:
    fields = dependant.header_params
    spellings = {spelt for field in fields for spelt in (field.alias, field.alias.replace("_", "-"))}
    names = {spelt.lower().encode() for spelt in spellings}
    absent = request_params_to_args(fields, Headers())

    def reader(request: Request) -> Read:
        if any(name in names for name, _ in request.scope["headers"]):
            return request_params_to_args(fields, request.headers)
        return absent

    return reader


def _told(scope: Scope, error: Exception) -> Callable[[Request, Exception], Awaitable[Response]] | None:
    """Return what tells the client of an error, as registered with the application."""
    handlers = scope["app"].exception_handlers
    return next((handlers[kind] for kind in type(error).__mro__ if kind in handlers), None)
