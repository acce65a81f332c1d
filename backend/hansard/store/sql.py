"""Implement the store's contract on a SQL database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from typing import Final

from hansard.database import Database
from hansard.models.limits import ITEM_BYTES, check_user_id
from hansard.models.search import SearchSettings
from hansard.store.conversations import SqlConversations
from hansard.store.items import SqlItems
from hansard.store.keys import REMEMBERED, SqlKeys
from hansard.store.scope import Scope
from hansard.store.search import SqlSearch
from hansard.store.tasks import SqlTasks
from hansard.store.turns import EVENTS_KEPT_SECONDS, SqlTurns

_USERS: Final = 1024


class SqlStore:
    """Implement `hansard.store.contract.Store`.

    ``provision_users`` makes an unknown user on the first write; ``max_item_bytes`` is the limit of one item,
    in bytes of its compact unescaped UTF-8 JSON; ``search`` says what is searched. A turn's
    events are kept for ``events_kept_seconds``, an idempotency key stands for its request for ``keys_remembered``.
    What stands in ``before_close`` is awaited before the database is closed.
    """

    def __init__(
        self,
        database: Database,
        *,
        provision_users: bool = True,
        max_item_bytes: int = ITEM_BYTES,
        events_kept_seconds: float = EVENTS_KEPT_SECONDS,
        keys_remembered: timedelta = REMEMBERED,
        search: SearchSettings = SearchSettings(),  # noqa: B008 - immutable
    ) -> None:
        self.database = database
        self.before_close: list[Callable[[], Awaitable[None]]] = []
        self._events_kept_seconds = events_kept_seconds
        self._keys_remembered = keys_remembered
        self._anybody = Scope(
            database, "", provision_users=provision_users, max_item_bytes=max_item_bytes, search=search
        )
        # Nothing of it changes, and a service asks for the same few at every request.
        self._user = lru_cache(maxsize=_USERS)(self._make_user)

    def for_user(self, user_id: str, *, email: str | None = None) -> SqlUserStore:
        """Return the store of one user; raises `InvalidInput` for an id that cannot be one."""
        return self._user(check_user_id(user_id), email)

    def _make_user(self, user_id: str, email: str | None) -> SqlUserStore:
        scope = replace(self._anybody, user_id=user_id, email=email)
        return SqlUserStore(scope, self._events_kept_seconds, self._keys_remembered)


@dataclass(frozen=True)
class SqlUserStore:
    """Implement `hansard.store.contract.UserStore`."""

    scope: Scope
    events_kept_seconds: float = EVENTS_KEPT_SECONDS
    keys_remembered: timedelta = REMEMBERED

    @property
    def user_id(self) -> str:
        """Return whose store this is."""
        return self.scope.user_id

    @property
    def max_item_bytes(self) -> int:
        """Return the limit of one item."""
        return self.scope.max_item_bytes

    @property
    def conversations(self) -> SqlConversations:
        """Return the user's conversations."""
        return SqlConversations(self.scope)

    @property
    def items(self) -> SqlItems:
        """Return the items of the user's conversations."""
        return SqlItems(self.scope)

    @property
    def tasks(self) -> SqlTasks:
        """Return the user's tasks."""
        return SqlTasks(self.scope)

    @property
    def turns(self) -> SqlTurns:
        """Return the user's turns."""
        return SqlTurns(self.scope, self.events_kept_seconds)

    @property
    def keys(self) -> SqlKeys:
        """Return what the user's idempotency keys stand for."""
        return SqlKeys(self.scope, self.keys_remembered)

    @property
    def search(self) -> SqlSearch:
        """Return what searches the user's messages."""
        return SqlSearch(self.scope)

    def atomic(self) -> AbstractAsyncContextManager[None]:
        """Make what is called inside one transaction."""
        return self.scope.database.atomic(self.scope.user_id)
