"""Let somebody watch what a store does: which operation, how long, how it ends; never for whom or with what.

Only a store that is watched pays for it: it is wrapped, and the store itself knows nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from functools import wraps
from inspect import iscoroutinefunction, signature
from typing import Any, Final, Protocol, TypeAlias, cast

from hansard.store.contract import Store, UserStore

Operation: TypeAlias = Callable[..., Awaitable[Any]]
_PARTS: Final = frozenset({"conversations", "items", "tasks", "turns", "keys", "search"})


class Observer(Protocol):
    """Watch operations, each by its name, such as ``items.append``."""

    def operation(self, name: str) -> AbstractContextManager[object]:
        """Return what is entered before an operation and left after it, with its exception if it raised one."""

    def appended(self, count: int) -> None:
        """Hear that items were added to conversations."""

    def turn_ended(self, status: str) -> None:
        """Hear that a turn came to its end, and how."""


class ObservedStore:
    """Be the store, with somebody watching."""

    def __init__(self, store: Store, observer: Observer) -> None:
        self._store = store
        self._observer = observer

    def for_user(self, user_id: str, *, email: str | None = None) -> UserStore:
        """Return the store of one user, watched as well."""
        return cast("UserStore", _ObservedUser(self._store.for_user(user_id, email=email), self._observer))


class _ObservedUser:
    def __init__(self, user: UserStore, observer: Observer) -> None:
        self._user = user
        self._observer = observer

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._user, name)
        return _ObservedPart(name, found, self._observer) if name in _PARTS else found

    def atomic(self) -> AbstractAsyncContextManager[None]:
        return self._atomic()

    @asynccontextmanager
    async def _atomic(self) -> AsyncIterator[None]:
        with self._observer.operation("atomic"):
            async with self._user.atomic():
                yield


class _ObservedPart:
    def __init__(self, noun: str, part: object, observer: Observer) -> None:
        self._noun = noun
        self._part = part
        self._observer = observer

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._part, name)
        return _observed(f"{self._noun}.{name}", found, self._observer) if iscoroutinefunction(found) else found


def _observed(name: str, operation: Operation, observer: Observer) -> Operation:
    @wraps(operation)
    async def observed(*args: Any, **named: Any) -> Any:
        with observer.operation(name):
            result = await operation(*args, **named)
        # What was written is counted by what was asked for, in whatever way it was: by position or by name.
        _count(name, lambda: signature(operation).bind(*args, **named).arguments, result, observer)
        return result

    return observed


def _count(name: str, asked: Callable[[], dict[str, Any]], result: Any, observer: Observer) -> None:
    if name == "items.append":
        observer.appended(len(result))
    elif name == "conversations.create":
        observer.appended(len(asked().get("items", ())))
    elif name == "turns.begin":
        observer.appended(len(result.items))
    elif name == "turns.end" and result is not None:
        observer.appended(len(asked()["items"]))
        observer.turn_ended(asked()["end"].status)
