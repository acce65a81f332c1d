"""Start the server, after everything that could be wrong with it was looked at."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from tempfile import TemporaryDirectory
from typing import Annotated, Final

import typer
import uvicorn

from hansard.api import logs
from hansard.api.http_protocol import http_protocol
from hansard.api.middleware import LOOPBACK
from hansard.api.sign_in import LOCAL_USER
from hansard.app import Access, create_app, open_access
from hansard.cli.database import apply_search, upgrade_database
from hansard.cli.keys import DEFAULT_TTL, base_url, make_login_url, read_ttl
from hansard.config import Settings, load_settings
from hansard.database import standing
from hansard.database.urls import parse_url
from hansard.errors import ConfigurationError, SchemaOutdated

# Compared with, never bound to unasked.
_EVERYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104
_GRACE_SECONDS: Final = 30
# On a busy machine a worker may still be loading after uvicorn's five seconds, and would be replaced for ever.
_START_SECONDS: Final = 60
_METRICS_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on; 0 takes a free one.", min=0, max=65535)] = 8000,
    workers: Annotated[int, typer.Option(help="How many processes; more than one needs PostgreSQL.", min=1)] = 1,
    *,
    migrate: Annotated[bool, typer.Option("--migrate", help="Upgrade a server database first.")] = False,
) -> None:
    """Serve the API, and the page in embedded mode or with HANSARD_SESSION_COOKIE.

    An embedded database is upgraded first; a server database only with --migrate.
    """
    settings = load_settings()
    access = open_access(settings)
    _check_host(host, access)
    _check_workers(workers, settings)
    _prepare_schema(settings, migrate=migrate)
    asyncio.run(_rehearse(settings))
    with _listen(host, port) as listener, _shared_metrics(settings, workers):
        _check_upstream(settings, host, listener.getsockname()[1])
        _greet(access, host, listener.getsockname()[1])
        uvicorn.run(
            "hansard.cli.worker:create",
            factory=True,
            fd=listener.fileno(),
            workers=workers,
            timeout_worker_healthcheck=_START_SECONDS,
            http=http_protocol(),
            log_config=logs.config(settings.log_level),
            access_log=False,
            ws="none",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )


def _check_host(host: str, access: Access) -> None:
    if not host:
        raise ConfigurationError("--host is empty, which would be every address; name one, or 0.0.0.0 for all")
    if access.embedded and host not in LOOPBACK:
        raise ConfigurationError(
            f"the embedded mode has one user and serves this machine only, under {', '.join(LOOPBACK)}, not {host}; "
            "set JWT_SECRET_KEY to serve others"
        )


def is_loopback(host: str) -> bool:
    """Say whether an address is reached from this machine only."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_upstream(settings: Settings, host: str, port: int) -> None:
    """Refuse an upstream that is plainly this server; one behind other names is refused when it is asked."""
    url = settings.upstream_base_url
    if url is None or url.host is None or url.port != port:
        return
    theirs = url.host.strip("[]")
    if theirs == host or (is_loopback(theirs) and (is_loopback(host) or host in _EVERYWHERE)):
        raise ConfigurationError("HANSARD_UPSTREAM_BASE_URL is the address of this server itself")


def _check_workers(workers: int, settings: Settings) -> None:
    if workers > 1 and parse_url(settings.database_url.get_secret_value()).is_sqlite:
        raise ConfigurationError(
            "SQLite has one writer, and several processes would only wait for one another; "
            "serve with --workers 1, or move to PostgreSQL"
        )


def _prepare_schema(settings: Settings, *, migrate: bool) -> None:
    url = settings.migration_url
    revision, newest = standing.current(url), standing.head()
    embedded = parse_url(url).is_sqlite
    if migrate or embedded:
        # A file at the newest revision has nothing to gain; on a server, the runtime role is looked after too.
        if migrate or revision != newest:
            upgrade_database(url, settings)
        apply_search(url, settings)
        return
    if revision != newest:
        raise SchemaOutdated(
            f"the database is at {revision or 'no revision'}, this release needs {newest}; "
            "run: hansard db upgrade (or serve with --migrate)"
        )


async def _rehearse(settings: Settings) -> None:
    """Start and stop once what each worker starts: one that cannot would be replaced for ever, and told at length."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        await app.state.edge.ready()


def _listen(host: str, port: int) -> socket.socket:
    """Bind here and not in the server, so that the port is known and a taken one is told in one line."""
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        reason = "it is taken; choose another with --port" if taken else error.strerror
        raise ConfigurationError(f"cannot listen on {host} port {port}: {reason}") from error
    # Connections inherit it. Without, every answer waits 40 ms for the client to acknowledge its headers:
    # asyncio sets it only on sockets that name their protocol, and the server's own do not.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


@contextmanager
def _shared_metrics(settings: Settings, workers: int) -> Iterator[None]:
    """Give several workers a folder in which they count together, unless the operator named one."""
    if workers == 1 or settings.metrics_token is None or _METRICS_FOLDER in os.environ:
        yield
        return
    with TemporaryDirectory(prefix="hansard-metrics-") as folder:
        os.environ[_METRICS_FOLDER] = folder
        yield


def _greet(access: Access, host: str, port: int) -> None:
    typer.echo(f"Hansard listens on {base_url(host, port)}")
    if not access.embedded:
        return
    typer.echo(f"Sign in (once, within five minutes): {make_login_url(access, host=host, port=port)}")
    # A key on a terminal is seen by the person who started the server; a key in a captured log by anybody.
    if sys.stdout.isatty():
        typer.echo(f"API key: {access.token(LOCAL_USER, ttl=read_ttl(DEFAULT_TTL))}")
    else:
        typer.echo("API key: run `hansard token`")
