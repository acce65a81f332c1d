"""Wait for what other processes do to a conversation: one trip to the database for everybody here who waits.

It is asked only while somebody waits, soon after something happened and less and less often while nothing does.
What happens in this process wakes who waits for it at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeAlias
from uuid import UUID

from hansard.errors import DatabaseError, ShuttingDown
from hansard.models import Activity
from hansard.store.contract import UserStore

SHORTEST: Final = 0.1
LONGEST: Final = 1.0
_GROWTH: Final = 1.25

# Told what goes on in a conversation, `None` when it is missing, says whether that is worth waking up for.
Wanted: TypeAlias = Callable[[Activity | None], bool]


class Waiter:
    """Be one who waits; ``woken`` is done when it is time to look.

    The pause between two queries grows from ``shortest`` to ``longest`` seconds; without them nothing is asked.
    """

    def __init__(
        self, user: UserStore, conversation_id: UUID, wanted: Wanted, *, shortest: float, longest: float | None
    ) -> None:
        self.user = user
        self.conversation_id = conversation_id
        self.wanted = wanted
        self.pause = shortest
        self.longest = longest
        self.woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake(self) -> None:
        """Say that it is time to look."""
        if not self.woken.done():
            self.woken.set_result(None)

    def grow(self) -> None:
        """Wait longer the next time."""
        self.pause = min(self.pause * _GROWTH, self.longest or self.pause)


class Watch:
    """Ask the database for everybody in this process who waits."""

    def __init__(self) -> None:
        self.closed = False
        self._waiters: set[Waiter] = set()
        self._asking: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()

    @property
    def idle(self) -> bool:
        """Say whether nobody waits, so that nothing is asked."""
        return not self._waiters and (self._asking is None or self._asking.done())

    async def wait(self, user: UserStore, conversation_id: UUID, wanted: Wanted) -> None:
        """Wait until what goes on in the conversation is wanted, or until nobody can tell; then look for yourself.

        Raises `ShuttingDown` when there is nobody left to ask.
        """
        waiter = self.register(user, conversation_id, wanted)
        try:
            await waiter.woken
        finally:
            self.forget(waiter)
        if self.closed:
            raise ShuttingDown("this server is being stopped")

    def register(
        self,
        user: UserStore,
        conversation_id: UUID,
        wanted: Wanted,
        *,
        shortest: float = SHORTEST,
        longest: float | None = LONGEST,
    ) -> Waiter:
        """Return a waiter for what happens from now on; `forget` it afterwards."""
        waiter = Waiter(user, conversation_id, wanted, shortest=shortest, longest=longest)
        self._waiters.add(waiter)
        if self.closed:
            waiter.wake()
        elif longest is not None and (self._asking is None or self._asking.done()):
            self._asking = asyncio.create_task(self._ask())
        self._hurry.set()
        return waiter

    def forget(self, waiter: Waiter) -> None:
        """Ask no more for this one."""
        self._waiters.discard(waiter)
        self._hurry.set()

    def ring(self, user_id: str, conversation_id: UUID) -> None:
        """Wake everybody who waits for this conversation: something happened to it in this process."""
        for waiter in self._waiters:
            if (waiter.user.user_id, waiter.conversation_id) == (user_id, conversation_id):
                waiter.wake()

    async def aclose(self) -> None:
        """Wake everybody, and ask nothing any more."""
        self.closed = True
        for waiter in self._waiters:
            waiter.wake()
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _ask(self) -> None:
        loop = asyncio.get_running_loop()
        asked = loop.time()
        while asking := [one for one in self._waiters if one.longest is not None and not one.woken.done()]:
            self._hurry.clear()
            pause = asked + min(one.pause for one in asking) - loop.time()
            if pause > 0:
                await asyncio.wait({hurry := asyncio.ensure_future(self._hurry.wait())}, timeout=pause)
                hurry.cancel()
                continue
            asked = loop.time()
            by_user: dict[str, list[Waiter]] = {}
            for waiter in asking:
                by_user.setdefault(waiter.user.user_id, []).append(waiter)
            await asyncio.gather(*(_ask_for(waiters) for waiters in by_user.values()))


async def _ask_for(waiters: list[Waiter]) -> None:
    """Ask once for all of one user's waiters, for row-level security shows a query one user's rows.

    All users are asked for at the same moment, so the store takes one trip for all of them.
    """
    homes = {waiter.conversation_id for waiter in waiters}
    try:
        found = {one.conversation_id: one for one in await waiters[0].user.turns.activity(list(homes))}
    except DatabaseError:
        # Each finds out for itself what is wrong, and tells its own client.
        for waiter in waiters:
            waiter.wake()
        return
    for waiter in waiters:
        waiter.grow()
        if waiter.wanted(found.get(waiter.conversation_id)):
            waiter.wake()
