"""Hand out API keys and login URLs."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Final

import typer

from hansard.api.sign_in import LOCAL_USER
from hansard.app import Access, open_access
from hansard.config import load_settings
from hansard.database.urls import parse_url
from hansard.errors import ConfigurationError, InvalidInput

DEFAULT_TTL: Final = "30d"
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_LONGEST: Final = timedelta(days=3660)


def token(
    user: Annotated[str, typer.Argument(help="The user id; the embedded server has one user only.")] = LOCAL_USER,
    ttl: Annotated[str, typer.Option(help="How long it is valid: a number and s, m, h or d.")] = DEFAULT_TTL,
) -> None:
    """Print an API key: a token for USER, signed with JWT_SECRET_KEY or the embedded server's own secret."""
    typer.echo(_open_access().token(user, ttl=read_ttl(ttl)))


def login_url(
    host: Annotated[str, typer.Option(help="The address the server listens on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port the server listens on.", min=1, max=65535)] = 8000,
) -> None:
    """Print an address that signs a browser in to the embedded server: good once, for five minutes."""
    typer.echo(make_login_url(_open_access(), host=host, port=port))


def _open_access() -> Access:
    settings = load_settings()
    access = open_access(settings)
    path = parse_url(settings.database_url.get_secret_value()).path
    if access.embedded and path is not None and not path.exists():
        # In another folder than the server's, this would look like a key and open nothing.
        typer.echo(f"hansard: {path.resolve()} is not there yet: this is for a server that will make it", err=True)
    return access


def make_login_url(access: Access, *, host: str, port: int) -> str:
    """Return a login URL; raises `ConfigurationError` outside of the embedded mode."""
    if access.sessions is None:
        raise ConfigurationError("login URLs are for the embedded mode; with JWT_SECRET_KEY set, tokens sign users in")
    # The code is in the fragment, which browsers do not send: it appears in no log and no referrer.
    return f"{base_url(host, port)}/#code={access.sessions.codes.issue()}"


def base_url(host: str, port: int) -> str:
    """Return the address of a server."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def read_ttl(text: str) -> timedelta:
    """Return a duration such as ``90s``, ``12h`` or ``30d``: more than nothing, at most ten years."""
    found = re.fullmatch(r"([0-9]{1,9})([smhd])", text)
    ttl = timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else timedelta()
    if not timedelta() < ttl <= _LONGEST:
        raise InvalidInput("--ttl must be a number and s, m, h or d, such as 12h, and at most ten years", param="ttl")
    return ttl
