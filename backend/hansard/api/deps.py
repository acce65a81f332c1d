"""Give routes what they work with: who asks, that user's store, the body."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, cast

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer
from starlette.requests import HTTPConnection

from hansard.api.auth import Authenticator, Identity
from hansard.api.bodies import read_body
from hansard.models.limits import JsonObject
from hansard.services.turns import Turns
from hansard.store.contract import Store, UserStore
from hansard.utils.cursor import CursorSealer

if TYPE_CHECKING:
    from hansard.api.rate_limit import RateLimit


class _Bearer(HTTPBearer):
    """Describe the scheme in the OpenAPI document, and no more; the authenticator reads the header itself."""

    async def __call__(self, request: HTTPConnection) -> None:
        """Read nothing."""


_bearer = _Bearer(auto_error=False, scheme_name="bearer", bearerFormat="JWT")


@dataclass(frozen=True, slots=True)
class Edge:
    """Hold what the composition root gives to the routes; it stands in ``app.state.edge``.

    ``ready`` raises a `hansard.errors.DatabaseError` while requests cannot be served; ``body_limit`` is in bytes.
    """

    store: Store
    authenticator: Authenticator
    cursors: CursorSealer
    ready: Callable[[], Awaitable[None]]
    body_limit: int
    rate_limit: RateLimit | None = None


def edge_of(request: Request) -> Edge:
    """Return what the composition root prepared."""
    return cast("Edge", request.app.state.edge)


async def _who_asks(request: Request, _scheme: Annotated[object, Security(_bearer)]) -> Identity:
    edge = edge_of(request)
    identity = await edge.authenticator.identity(request)
    request.scope["hansard.user_id"] = identity.user_id
    if edge.rate_limit is not None:
        # Users are counted, not addresses: behind a proxy all have one, and a stranger gets no further than this.
        request.scope["hansard.headers"] = edge.rate_limit.count(identity.user_id)
    return identity


WhoAsks = Annotated[Identity, Depends(_who_asks)]


async def _current_user(identity: WhoAsks) -> str:
    return identity.user_id


async def _own_store(request: Request, identity: WhoAsks) -> UserStore:
    return edge_of(request).store.for_user(identity.user_id, email=identity.email)


async def _json_body(request: Request, _identity: WhoAsks) -> JsonObject:
    # After authentication: a stranger's body is not read.
    return await read_body(request, limit=edge_of(request).body_limit)


async def _turns(request: Request) -> Turns:
    return cast("Turns", request.app.state.turns)


async def _cursors(request: Request) -> CursorSealer:
    return edge_of(request).cursors


async def _body_limit(request: Request) -> int:
    return edge_of(request).body_limit


CurrentUser = Annotated[str, Depends(_current_user)]
OwnStore = Annotated[UserStore, Depends(_own_store)]
JsonBody = Annotated[JsonObject, Depends(_json_body)]
BodyLimit = Annotated[int, Depends(_body_limit)]
OurTurns = Annotated[Turns, Depends(_turns)]
Cursors = Annotated[CursorSealer, Depends(_cursors)]
