"""Tell what happens in a conversation, as it happens: items, changes, and the events of the turn that runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from typing import Final
from uuid import UUID

from hansard.errors import InvalidInput, NotFound
from hansard.models import Activity, MessageRead
from hansard.services.channel import StreamEvent
from hansard.services.following import Follower
from hansard.services.happenings import Added, Changed, Cursor, Deleted, Gone, Paused, Said, Start, Told
from hansard.services.turns import Turns
from hansard.services.watch import LONGEST, SHORTEST, Waiter
from hansard.store.contract import UserStore

# A reader who does not read holds one page: of the largest items, spelled, four times their 20 MiB.
_PAGE: Final = 20
# How often the database is asked while nothing happens: at most this many seconds apart, until that many seconds
# have passed. After the last it is asked no more, so that it can go to sleep.
_PHASES: Final = ((30.0, LONGEST), (120.0, 5.0))


class LiveView:
    """Be one client's view of one conversation."""

    def __init__(self, turns: Turns, user: UserStore, conversation_id: UUID) -> None:
        self._turns = turns
        self._watch = turns.watch
        self._user = user
        self._conversation_id = conversation_id
        self._cursor = Cursor(0, 0, 0)
        self._follower: Follower | None = None
        self._waiter: Waiter | None = None
        self._quiet_since = asyncio.get_running_loop().time()
        self._paused = False

    async def open(self, start: Start) -> AsyncGenerator[list[Told], None]:
        """Return what happens from there on; raises `NotFound`."""
        self._cursor = await self._begin(start)
        return self._tell(await self._snapshot())

    async def _begin(self, start: Start) -> Cursor:
        if start.cursor is not None:
            return start.cursor
        activity = await self._activity()
        deleted = 0 if activity is None else activity.deleted
        if start.position is not None:
            return Cursor(start.position, 0, deleted)
        newest = await self._user.items.list(self._conversation_id, limit=1, order="desc")
        return Cursor(newest.data[0].position if newest.data else 0, 0, deleted)

    async def _activity(self) -> Activity | None:
        return next(iter(await self._user.turns.activity([self._conversation_id])), None)

    async def _snapshot(self) -> list[Told]:
        conversation = await self._user.conversations.get(self._conversation_id)
        self._cursor = self._cursor._replace(revision=conversation.revision)
        if self._cursor.turn_id is not None:
            self._follow(self._cursor.turn_id, after=self._cursor.sequence)
        return [Told(self._cursor, Changed(conversation))]

    async def _tell(self, first: list[Told]) -> AsyncGenerator[list[Told], None]:
        yield first
        # The rest of a turn that was followed before comes before the items it ended with.
        while told := await self._said():
            yield told
        try:
            while not self._watch.closed:
                # Registered before looking, so that nothing that happens in between is missed.
                self._expect()
                async for page in self._look():
                    yield page
                    if isinstance(page[-1].what, Gone):
                        return
                async for page in self._listen():
                    yield page
        finally:
            self._forget()

    async def _look(self) -> AsyncGenerator[list[Told], None]:
        """Yield what changed in the database since the last look, and begin to follow the turn that runs."""
        activity = await self._activity()
        if activity is None:
            yield [Told(self._cursor, Gone())]
            return
        if activity.expired:
            await self._turns.settle(self._user, self._conversation_id)
        async for page in self._rest(activity):
            yield page
        if activity.revision != self._cursor.revision or activity.deleted != self._cursor.deleted:
            async for page in self._changes(activity):
                yield page
        async for page in self._items(activity.next_position):
            yield page
        if activity.turn_id is not None and self._follower is None:
            self._follow(activity.turn_id, after=self._seen(activity.turn_id))

    async def _rest(self, activity: Activity) -> AsyncGenerator[list[Told], None]:
        """Yield what is left of a turn that has ended, before the items it ended with."""
        while self._follower is not None and self._follower.turn_id != activity.turn_id:
            told = await self._said()
            if told:
                yield told
            elif self._follower is not None:
                await self._follower.wait()

    async def _changes(self, activity: Activity) -> AsyncGenerator[list[Told], None]:
        try:
            conversation = await self._user.conversations.get(self._conversation_id)
        except NotFound:
            return
        self._stir()
        deleted = activity.deleted != self._cursor.deleted
        self._cursor = self._cursor._replace(revision=conversation.revision, deleted=activity.deleted)
        told: list[Told] = [Told(self._cursor, Deleted(conversation))] if deleted else []
        yield [*told, Told(self._cursor, Changed(conversation))]

    async def _items(self, next_position: int) -> AsyncGenerator[list[Told], None]:
        """Yield the items of the moment of the look: what came later belongs behind the events of the turn."""
        while self._cursor.position + 1 < next_position:
            try:
                page = await self._user.items.list(self._conversation_id, limit=_PAGE, after=self._cursor.position)
            except NotFound:
                return
            new = [item for item in page.data if item.position < next_position]
            if new:
                self._stir()
                yield [self._added(item) for item in new]
            if len(new) < len(page.data) or not page.has_more:
                self._cursor = self._cursor._replace(position=next_position - 1)

    def _added(self, item: MessageRead) -> Told:
        self._cursor = self._cursor._replace(position=item.position)
        return Told(self._cursor, Added(item))

    async def _listen(self) -> AsyncGenerator[list[Told], None]:
        """Yield what the turn says until it is time to look at the conversation again."""
        assert self._waiter is not None
        while not self._waiter.woken.done():
            following = self._follower is not None
            told = await self._said()
            if told:
                yield told
            if self._follower is not None:
                await _either(self._waiter.woken, self._follower.wait())
            elif following:
                return
            elif not await self._quiet():
                yield [Told(self._cursor, Paused())]

    async def _said(self) -> list[Told]:
        """Return what the turn has said since; after its end there is none to follow."""
        follower = self._follower
        if follower is None:
            return []
        try:
            events = await follower.read()
        except (NotFound, InvalidInput):
            # Deleted, or no longer kept: its items tell the rest.
            self._follower = None
            return []
        if follower.finished:
            self._follower = None
        if events:
            self._stir()
        return [self._event(follower.turn_id, event) for event in events]

    def _event(self, turn_id: UUID, event: StreamEvent) -> Told:
        self._cursor = self._cursor._replace(turn_id=turn_id, sequence=event.sequence)
        return Told(self._cursor, Said(turn_id, event))

    async def _quiet(self) -> bool:
        """Wait until it is time to look, asking less and less; false when from now on nobody asks."""
        assert self._waiter is not None
        loop = asyncio.get_running_loop()
        for until, _ in _PHASES:
            remaining = self._quiet_since + until - loop.time()
            if remaining > 0:
                await asyncio.wait({self._waiter.woken}, timeout=remaining)
                return True
        if not self._paused:
            self._paused = True
            return False
        await self._waiter.woken
        return True

    def _expect(self) -> None:
        self._forget()
        quiet = asyncio.get_running_loop().time() - self._quiet_since
        longest = next((pause for until, pause in _PHASES if quiet < until), None)
        shortest = SHORTEST if quiet < _PHASES[0][0] else _PHASES[-1][1]
        self._waiter = self._watch.register(
            self._user, self._conversation_id, self._is_news, shortest=shortest, longest=longest
        )

    def _forget(self) -> None:
        if self._waiter is not None:
            self._watch.forget(self._waiter)

    def _is_news(self, activity: Activity | None) -> bool:
        if activity is None or activity.revision != self._cursor.revision:
            return True
        return activity.expired

    def _stir(self) -> None:
        self._quiet_since, self._paused = asyncio.get_running_loop().time(), False

    def _seen(self, turn_id: UUID) -> int:
        return self._cursor.sequence if self._cursor.turn_id == turn_id else -1

    def _follow(self, turn_id: UUID, *, after: int) -> None:
        self._follower = self._turns.follower(self._user, turn_id, after=after)


async def _either(woken: asyncio.Future[None], waiting: Coroutine[None, None, None]) -> None:
    task = asyncio.create_task(waiting)
    try:
        await asyncio.wait({woken, task}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
