"""Hand PostgreSQL URLs to libpq unchanged, so that every URL it knows works as its provider shows it."""

from __future__ import annotations

from urllib.parse import parse_qsl

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from hansard.errors import ConfigurationError

# Used where the URL says nothing. Only the name is a start-up parameter, which a pooler must know; the rest
# concerns our end of the socket: a server that vanished without a word is noticed within half a minute.
_DEFAULTS = {
    "application_name": "hansard",
    "connect_timeout": "10",
    "keepalives_idle": "15",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}


def conninfo_of(url: str) -> str:
    """Return what libpq connects with; raises `ConfigurationError`, which repeats no part of the URL's secrets."""
    try:
        given = {name: str(value) for name, value in conninfo_to_dict(url).items()}
    except psycopg.Error:
        # Its message may quote the password.
        raise ConfigurationError(_complaint(url)) from None
    return make_conninfo(**{**_DEFAULTS, **given})


def refuse_pooler(url: str) -> None:
    """Raise `ConfigurationError` when the host's name says that it is a pooler, as at Neon."""
    hosts = str(conninfo_to_dict(url).get("host") or "").split(",")
    if any("-pooler." in host for host in hosts):
        raise ConfigurationError(
            "prepared statements need a direct connection, but DATABASE_URL names a pooler (-pooler in its host)"
        )


def _complaint(url: str) -> str:
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    names = [name for name, _ in parse_qsl(url.partition("?")[2], keep_blank_values=True)]
    unknown = ", ".join(name for name in names if name not in known)
    if unknown:
        return f"DATABASE_URL has parameters that PostgreSQL's libpq does not know: {unknown}"
    return (
        "DATABASE_URL is not a URL that PostgreSQL's libpq can read; special characters in the password must be "
        "percent-encoded"
    )
