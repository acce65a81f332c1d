"""Wait for what other processes do to a conversation: one query for everybody here who waits.

It is asked only while somebody waits, soon after something happened and less and less often while nothing does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from uuid import UUID

from hansard.errors import DatabaseError
from hansard.models import Activity
from hansard.store.contract import UserStore

_SHORTEST: Final = 0.1
_LONGEST: Final = 1.0
_GROWTH: Final = 1.25

# Told what goes on in a conversation, `None` when it is missing, says whether that is worth waking up for.
Wanted: TypeAlias = Callable[[Activity | None], bool]
_Place: TypeAlias = tuple[str, UUID]


@dataclass(eq=False)
class _Waiter:
    user: UserStore
    conversation_id: UUID
    wanted: Wanted
    longest: float
    woken: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def place(self) -> _Place:
        return self.user.user_id, self.conversation_id

    def wake(self) -> None:
        if not self.woken.done():
            self.woken.set_result(None)


class Watch:
    """Ask the database for everybody in this process who waits."""

    def __init__(self) -> None:
        self._waiters: set[_Waiter] = set()
        self._asking: asyncio.Task[None] | None = None
        self._pause = _SHORTEST

    async def wait(self, user: UserStore, conversation_id: UUID, wanted: Wanted, *, longest: float = _LONGEST) -> None:
        """Wait until what goes on in the conversation is wanted, or until nobody can tell; then look for yourself.

        ``longest`` bounds the pause between two queries, in seconds.
        """
        waiter = _Waiter(user, conversation_id, wanted, longest)
        self._waiters.add(waiter)
        self._pause = _SHORTEST
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        try:
            await waiter.woken
        finally:
            self._waiters.discard(waiter)

    def ring(self, user_id: str, conversation_id: UUID) -> None:
        """Wake everybody who waits for this conversation: something happened to it in this process."""
        for waiter in [one for one in self._waiters if one.place == (user_id, conversation_id)]:
            waiter.wake()

    def close(self) -> None:
        """Wake everybody."""
        for waiter in list(self._waiters):
            waiter.wake()
        if self._asking is not None:
            self._asking.cancel()

    async def _ask(self) -> None:
        while self._waiters:
            await asyncio.sleep(min([self._pause, *(waiter.longest for waiter in self._waiters)]))
            self._pause = min(self._pause * _GROWTH, max((one.longest for one in self._waiters), default=_LONGEST))
            by_user: dict[str, list[_Waiter]] = {}
            for waiter in self._waiters:
                by_user.setdefault(waiter.user.user_id, []).append(waiter)
            await asyncio.gather(*(self._ask_for(waiters) for waiters in by_user.values()))

    async def _ask_for(self, waiters: list[_Waiter]) -> None:
        homes = {waiter.conversation_id for waiter in waiters}
        try:
            found = {one.conversation_id: one for one in await waiters[0].user.turns.activity(list(homes))}
        except DatabaseError:
            # Each finds out for itself what is wrong, and tells its own client.
            for waiter in waiters:
                waiter.wake()
            return
        for waiter in waiters:
            if waiter.wanted(found.get(waiter.conversation_id)):
                self._pause = _SHORTEST
                waiter.wake()
