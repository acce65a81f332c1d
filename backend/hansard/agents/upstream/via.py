"""Know which Hansards a request has come through, so that none asks itself.

Every process has a name; a request to an upstream says in a header whose names it carries. A process that is sent its
own name refuses. Several processes may serve one address, so the names of all are handed on: a circle closes at
the latest when each has been asked once.
"""

from __future__ import annotations

import re
import secrets
from contextvars import ContextVar
from typing import Final

HEADER: Final = "x-hansard-via"
REFUSED: Final = "upstream_is_hansard_itself"

_NAME: Final = re.compile(r"[0-9a-f]{32}")
_MOST: Final = 64

_come_through: ContextVar[tuple[str, ...]] = ContextVar("hansard_come_through", default=())


def new_name() -> str:
    """Return a name that nobody else has; it tells nothing about who bears it."""
    return secrets.token_hex(16)


def names_in(value: str) -> tuple[str, ...]:
    """Return the names in a header's value."""
    return tuple(_NAME.findall(value)[:_MOST])


class coming_through:  # noqa: N801 - it is entered, like a function of contextlib, and costs every request less
    """Serve a request that has come through these; tasks begun meanwhile remember it."""

    __slots__ = ("_names", "_token")

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names

    def __enter__(self) -> None:
        self._token = _come_through.set(self._names)

    def __exit__(self, *_: object) -> None:
        _come_through.reset(self._token)


def header_of(own: str) -> str:
    """Return the header's value for a request of ours."""
    return ", ".join([*_come_through.get(), own])
