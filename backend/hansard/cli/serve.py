"""Start the server, after everything that could be wrong with it was looked at."""

from __future__ import annotations

import contextlib
import socket
import sys
from ipaddress import ip_address
from typing import Annotated, Any, Final

import typer
import uvicorn

from hansard.api import logs
from hansard.api.sign_in import LOCAL_USER
from hansard.app import Access, open_access
from hansard.cli.keys import DEFAULT_TTL, base_url, make_login_url, read_ttl
from hansard.config import Settings, load_settings
from hansard.database import migrations
from hansard.database.urls import parse_url
from hansard.errors import ConfigurationError, SchemaOutdated

_FAILED: Final = 1
_GRACE_SECONDS: Final = 30


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on; 0 takes a free one.", min=0, max=65535)] = 8000,
    workers: Annotated[int, typer.Option(help="How many processes; more than one needs PostgreSQL.", min=1)] = 1,
    *,
    migrate: Annotated[bool, typer.Option("--migrate", help="Upgrade a server database first.")] = False,
) -> None:
    """Serve the API, and in embedded mode the page.

    An embedded database is upgraded first; a server database only with --migrate.
    """
    settings = load_settings()
    access = open_access(settings)
    _check_host(host, access)
    _check_workers(workers, settings)
    _prepare_schema(settings, migrate=migrate)
    if workers > 1:
        uvicorn.run(**_options(settings), workers=workers, host=host, port=port)
    else:
        _serve_alone(host, port, access, _options(settings))


def _check_host(host: str, access: Access) -> None:
    if access.embedded and not is_loopback(host):
        raise ConfigurationError(
            f"the embedded mode has one user and serves this machine only, not {host}; "
            "set JWT_SECRET_KEY to serve others"
        )


def is_loopback(host: str) -> bool:
    """Say whether an address is reached from this machine only."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_workers(workers: int, settings: Settings) -> None:
    if workers > 1 and parse_url(settings.database_url.get_secret_value()).is_sqlite:
        raise ConfigurationError(
            "SQLite has one writer, and several processes would only wait for one another; "
            "serve with --workers 1, or move to PostgreSQL"
        )


def _prepare_schema(settings: Settings, *, migrate: bool) -> None:
    url = settings.migration_url
    if migrate or parse_url(url).is_sqlite:
        migrations.upgrade(url)
        return
    revision, newest = migrations.current(url), migrations.head()
    if revision != newest:
        raise SchemaOutdated(
            f"the database is at {revision or 'no revision'}, this release needs {newest}; "
            "run: hansard db upgrade (or serve with --migrate)"
        )


def _serve_alone(host: str, port: int, access: Access, options: dict[str, Any]) -> None:
    server = uvicorn.Server(uvicorn.Config(**options))
    # Bound here and not by the server, so that the address to print is known and a taken port is one line.
    with _listen(host, port) as listener, contextlib.suppress(KeyboardInterrupt):
        _greet(access, host, listener.getsockname()[1])
        server.run(sockets=[listener])
    if not server.started:
        raise typer.Exit(_FAILED)


def _listen(host: str, port: int) -> socket.socket:
    # The protocol is named because asyncio turns Nagle's delay off only where it is.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigurationError(f"cannot listen on {host} port {port}: {error.strerror}") from error
    listener.listen()
    return listener


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


def _options(settings: Settings) -> dict[str, Any]:
    return {
        "app": "hansard.app:create_app",
        "factory": True,
        "log_config": logs.config(settings.log_level),
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
        "timeout_graceful_shutdown": _GRACE_SECONDS,
    }
