"""Put the service together: settings -> database -> store -> routes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from fastapi import FastAPI

from hansard import web
from hansard.agents import offline
from hansard.agents.protocol import Agent
from hansard.agents.upstream import via
from hansard.api import (
    conversations,
    errors,
    health,
    items,
    live,
    markdown,
    middleware,
    openapi,
    page_session,
    responses,
    search,
    sessions,
    tasks,
)
from hansard.api.auth import Authenticator, Hs256Verifier, Verifier, check_secret, issue_token
from hansard.api.circles import NoCircles
from hansard.api.cors import Cors
from hansard.api.deps import Edge
from hansard.api.head_method import HeadAsGet
from hansard.api.instruments import Instruments
from hansard.api.intake import MOST_ITEMS
from hansard.api.lane import Lane
from hansard.api.local_secret import LocalSecret
from hansard.api.page_session import TokenCookie
from hansard.api.sign_in import LOCAL_USER, LocalSessions
from hansard.api.termination import on_termination
from hansard.api.time_limit import TimeLimit
from hansard.config import Settings, load_settings
from hansard.database import Database, open_database, standing
from hansard.database.urls import parse_url
from hansard.errors import ConfigurationError, InvalidInput, SchemaOutdated
from hansard.services.history import Budget
from hansard.services.keeper import Pace
from hansard.services.task_tools import task_tools
from hansard.services.turns import Turns
from hansard.store.sql import SqlStore
from hansard.utils.cursor import CursorSealer

if TYPE_CHECKING:
    from hansard.api.rate_limit import RateLimit

# What a body needs beside its items.
_ENVELOPE_BYTES: Final = 64 * 1024


@dataclass(frozen=True)
class Access:
    """Hold how users prove who they are.

    ``sessions`` only where the one local user signs in by URL, ``cookie`` only where another application signs people
    in and hands their tokens to the page.
    """

    verifier: Verifier
    cursor_key: bytes
    key: bytes | None = None
    sessions: LocalSessions | None = None
    cookie: str | None = None

    @property
    def embedded(self) -> bool:
        """Say whether this is the single-user mode, on this machine only."""
        return self.sessions is not None

    def authenticator(self) -> Authenticator:
        """Return who checks requests."""
        if self.cookie is not None:
            return Authenticator(self.verifier, TokenCookie(self.verifier, name=self.cookie))
        return Authenticator(self.verifier, self.sessions)

    def token(self, user_id: str, *, ttl: timedelta) -> str:
        """Return an API key; raises `InvalidInput` for a user that this mode does not have."""
        if self.embedded and user_id != LOCAL_USER:
            raise InvalidInput(f"without JWT_SECRET_KEY there is one user only: {LOCAL_USER}", param="user")
        if self.key is None:
            raise ConfigurationError("with HANSARD_JWKS_URL the provider issues the tokens: nobody here can sign one")
        return issue_token(self.key, user_id, ttl=ttl)


def open_access(settings: Settings) -> Access:
    """Decide the mode: tokens where there is a secret or a provider's keys, else the embedded single user.

    Raises `ConfigurationError` where none can be. In embedded mode the secret is made when it is missing.
    """
    if settings.jwks_url is not None:
        return _provider_access(settings, settings.jwks_url)
    if settings.jwt_secret_key is not None:
        key = check_secret(settings.jwt_secret_key.get_secret_value().encode())
        return Access(Hs256Verifier(key), cursor_key=key, key=key, cookie=settings.session_cookie)
    path = parse_url(settings.database_url.get_secret_value()).path
    if path is None:
        raise ConfigurationError(
            "DATABASE_URL names a server, so there are users to tell apart: set JWT_SECRET_KEY to the secret that "
            "their tokens are signed with (at least 32 bytes), or HANSARD_JWKS_URL"
        )
    secret = LocalSecret(path)
    key = secret.derive("api key")
    verifier = Hs256Verifier(key, only_user=LOCAL_USER)
    return Access(verifier, cursor_key=secret.derive("cursor"), key=key, sessions=LocalSessions(secret))


def _provider_access(settings: Settings, url: str) -> Access:
    from hansard.api.jwks import JwksVerifier, Provider  # noqa: PLC0415 - loads an HTTP client

    if settings.jwt_secret_key is not None:
        raise ConfigurationError("JWT_SECRET_KEY and HANSARD_JWKS_URL exclude each other: set only one")
    verifier = JwksVerifier(Provider(url, settings.jwt_issuer or "", settings.jwt_audience or ""))
    # All workers must share the key, and there is no secret but the database's. A forged cursor would only choose
    # where its own user's list goes on.
    cursor_key = settings.database_url.get_secret_value().encode()
    return Access(verifier, cursor_key=cursor_key, cookie=settings.session_cookie)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the ASGI application; it opens the database when it starts and closes it when it stops."""
    settings = settings or load_settings()
    access = open_access(settings)
    name = via.new_name()
    instruments = _instruments(settings)
    app = FastAPI(
        title="Hansard",
        summary="The OpenAI Conversations API, durable, verbatim, ordered and isolated.",
        version=version("hansard"),
        lifespan=_lifespan(settings, access, name, instruments),
        # Both load scripts from another host.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # The framework's own would tell addresses and queries, with ids and what is searched for.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    errors.install(app)
    openapi.install(app, embedded=access.embedded)
    modules = [conversations, items, live, responses, tasks, markdown, page_session, health]
    if settings.search != "off":
        modules.append(search)
    if access.embedded:
        app.state.sessions = access.sessions
        modules.append(sessions)
    for module in modules:
        app.include_router(module.router)
    app.add_middleware(Lane, routers=[module.router for module in modules])
    app.add_middleware(HeadAsGet)
    app.add_middleware(live.Rings)
    if access.embedded:
        app.add_middleware(middleware.LoopbackOnly)
    if settings.page and (access.embedded or access.cookie):
        app.include_router(web.page_router(sign_in_url=str(settings.sign_in_url or "")))
    app.add_middleware(NoCircles, name=name)
    app.add_middleware(TimeLimit, body_seconds=settings.body_seconds, answer_seconds=settings.answer_seconds)
    # What is added later stands further out: these see every answer.
    app.add_middleware(middleware.RequestEnvelope)
    if settings.cors_origins:
        app.add_middleware(Cors, origins=settings.cors_origins)
    instruments.install(app)
    return app


def _instruments(settings: Settings) -> Instruments:
    token = settings.metrics_token
    return Instruments(
        metrics_token=None if token is None else token.get_secret_value(),
        tracing=settings.tracing,
        database="sqlite" if parse_url(settings.database_url.get_secret_value()).is_sqlite else "postgresql",
    )


def _lifespan(
    settings: Settings, access: Access, name: str, instruments: Instruments
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database = await open_database(
            settings.database_url.get_secret_value(),
            role=settings.database_role,
            pool_size=settings.database_pool_size,
            prepare=settings.database_prepare,
        )
        try:
            async with _upstream(settings, name) as models:
                edge = _edge(settings, access, database, instruments)
                turns = _turns(settings, models)
                instruments.sample = lambda: (turns.running, database.connections)
                app.state.edge, app.state.turns = edge, turns

                def close() -> asyncio.Task[None]:
                    return asyncio.create_task(turns.aclose(grace_seconds=settings.shutdown_grace_seconds))

                with on_termination(close):
                    yield
                await close()
        finally:
            await database.close()
            await instruments.aclose()

    return lifespan


def _edge(settings: Settings, access: Access, database: Database, instruments: Instruments) -> Edge:
    store = SqlStore(
        database,
        provision_users=settings.provision_users,
        max_item_bytes=settings.max_item_bytes,
        events_kept_seconds=settings.events_kept_hours * 3600,
        keys_remembered=timedelta(hours=settings.idempotency_hours),
        search=settings.search_settings,
    )
    return Edge(
        store=instruments.watch(store),
        authenticator=access.authenticator(),
        cursors=CursorSealer(access.cursor_key),
        ready=_readiness(database),
        body_limit=MOST_ITEMS * settings.max_item_bytes + _ENVELOPE_BYTES,
        rate_limit=_rate_limit(settings.rate_limit),
    )


def _rate_limit(quota: str | None) -> RateLimit | None:
    if quota is None:
        return None
    from hansard.api.rate_limit import RateLimit  # noqa: PLC0415 - nobody waits for the import of what is off

    return RateLimit(quota)


@asynccontextmanager
async def _upstream(settings: Settings, name: str) -> AsyncIterator[Mapping[str, Agent]]:
    """Open the way to the models that are configured, by their names; ``name`` is that of this process."""
    models = settings.upstream_models or ()
    if settings.upstream_base_url is None:
        yield {}
        return
    from hansard.agents.upstream.agent import UpstreamAgent  # noqa: PLC0415 - loads an HTTP client
    from hansard.agents.upstream.endpoint import Limits, Upstream  # noqa: PLC0415

    key = settings.upstream_api_key
    upstream = Upstream(
        str(settings.upstream_base_url),
        api_key=None if key is None else key.get_secret_value(),
        name=name,
        limits=Limits(
            connect=settings.upstream_connect_seconds,
            first_byte=settings.upstream_first_byte_seconds,
            silence=settings.upstream_silence_seconds,
            total=settings.upstream_total_seconds,
        ),
    )
    async with aclosing(upstream):
        hosted = settings.upstream_hosted_tools or ()
        yield dict.fromkeys(models, UpstreamAgent(upstream, api=settings.upstream_api, hosted_tools=hosted))


def _turns(settings: Settings, models: Mapping[str, Agent]) -> Turns:
    return Turns(
        {offline.MODEL: offline.OfflineAssistant(pace=settings.offline_pace_seconds), **models},
        default_model=next(iter(models), offline.MODEL),
        history=Budget(items=settings.history_items, tokens=settings.history_tokens),
        tools_for=lambda user: task_tools(user.tasks),
        pace=Pace(
            lease_seconds=settings.lease_seconds,
            batch_seconds=settings.batch_seconds,
            batch_bytes=settings.batch_bytes,
            wait_seconds=settings.conflict_wait_seconds,
        ),
    )


def _readiness(database: Database) -> Callable[[], Awaitable[None]]:
    migrated = False

    async def ready() -> None:
        nonlocal migrated
        # Asked until it is so. A newer release may move the schema on while this one still serves, also before a
        # process was asked for the first time.
        if not migrated:
            revision, newest = await database.revision(), standing.head()
            if revision is None or revision < newest:
                raise SchemaOutdated(f"the database is at revision {revision}, this release needs {newest}")
            migrated = True
        await database.ping()

    return ready
