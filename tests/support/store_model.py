"""Keep conversations in dicts: what the store should do, said as simply as possible.

Nothing here knows of SQL. A conversation is named by a number, because the store makes its own ids.
"""

import copy
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hansard.errors import AlreadyExists, IdempotencyConflict, NotFound, RevisionConflict
from tests.support.items import exact

RANK = {None: 0, "auto": 1, "model": 2, "user": 3}
# The title that each text of a user's message gives.
TITLES = {"Buy milk": "Buy milk", "e\u0301\x00": "e\u0301\ufffd", "Call\r\nhome": "Call home"}


class NewItem(NamedTuple):
    """Hold an item to append; ``announced`` gives it a public id."""

    item: dict[str, Any]
    client_id: str | None = None
    announced: bool = False


class Seen(NamedTuple):
    """Hold what a caller sees of an item."""

    position: int
    item: str
    client_id: str | None
    announced: bool


@dataclass
class Conversation:
    """Hold one conversation."""

    number: int
    external_id: str | None = None
    listed: bool = True
    title: str | None = None
    title_source: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    archived: bool = False
    items: dict[int, Seen] = field(default_factory=dict)
    next_position: int = 1
    changes: int = 0
    active: int = 0

    def face(self) -> tuple[object, ...]:
        """Return what a caller sees of it."""
        about = (self.title, self.title_source, tuple(self.metadata.items()), self.archived)
        return (self.number, self.external_id, *about, len(self.items))


class UserModel:
    """Keep one user's conversations; every method answers, or raises, as the store must."""

    def __init__(self) -> None:
        self._conversations: dict[int, Conversation] = {}
        self._clock = 0

    def copy(self) -> "UserModel":
        """Return a copy to go back to."""
        return copy.deepcopy(self)

    def conversation(self, number: int) -> Conversation:
        """Return a conversation that is there."""
        if number not in self._conversations:
            raise NotFound("conversation", number)
        return self._conversations[number]

    def listing(self, *, archived: bool) -> list[Conversation]:
        """Return the listed conversations, the most recently active first."""
        found = [one for one in self._conversations.values() if one.listed and one.archived is archived]
        return sorted(found, key=lambda one: one.active, reverse=True)

    def everything(self) -> list[Conversation]:
        """Return all conversations."""
        return list(self._conversations.values())

    def find(self, external_id: str) -> Conversation | None:
        """Return the conversation of an external id."""
        return next((one for one in self._conversations.values() if one.external_id == external_id), None)

    def create(
        self, number: int, *, title: str | None, external_id: str | None, listed: bool, items: list[NewItem]
    ) -> Conversation:
        """Make a conversation with its first items."""
        if external_id is not None and self.find(external_id):
            raise AlreadyExists
        made = Conversation(number, external_id, listed, title, None if title is None else "user")
        self._conversations[number] = made
        self._touch(made, active=True)
        if items:
            self.append(number, items)
        return made

    def append(self, number: int, items: list[NewItem], *, stale: bool = False) -> list[Seen]:
        """Append items, or recognise them; ``stale`` when an old revision is expected."""
        found = self.conversation(number)
        by_client_id: dict[str | None, Seen] = {
            seen.client_id: seen for seen in found.items.values() if seen.client_id is not None
        }
        known = [by_client_id.get(new.client_id) for new in items]
        repeated = [seen for seen, new in zip(known, items, strict=True) if seen and seen.item == exact(new.item)]
        if items and repeated == known:
            return repeated
        if stale:
            raise RevisionConflict
        if any(known):
            raise IdempotencyConflict
        return self._store(found, items) if items else []

    def _store(self, found: Conversation, items: list[NewItem]) -> list[Seen]:
        stored = [
            Seen(found.next_position + at, exact(new.item), new.client_id, new.announced)
            for at, new in enumerate(items)
        ]
        found.items.update({seen.position: seen for seen in stored})
        found.next_position += len(items)
        said = [new.item["content"] for new in items if new.item.get("role") == "user"]
        if said and found.title_source is None:
            found.title, found.title_source = TITLES[said[0]], "auto"
        self._touch(found, active=True)
        return stored

    def item(self, number: int, position: int) -> Seen:
        """Return one item."""
        found = self.conversation(number)
        if position not in found.items:
            raise NotFound("item", position)
        return found.items[position]

    def delete_item(self, number: int, position: int) -> tuple[Conversation, bool]:
        """Delete one item; its position is not given again."""
        found = self.conversation(number)
        deleted = found.items.pop(position, None) is not None
        if deleted:
            self._touch(found)
        return found, deleted

    def replace(self, number: int, position: int, item: dict[str, Any], *, stale: bool) -> Seen:
        """Put another item in place."""
        found = self.conversation(number)
        if stale:
            raise RevisionConflict
        new = self.item(number, position)._replace(item=exact(item))
        found.items[position] = new
        self._touch(found)
        return new

    def update(self, number: int, changes: dict[str, Any], *, stale: bool) -> Conversation:
        """Change some fields."""
        found = self.conversation(number)
        if stale:
            raise RevisionConflict
        for name, value in changes.items():
            setattr(found, name, value)
        if "title" in changes:
            found.title_source = "user"
        self._touch(found)
        return found

    def suggest_title(self, number: int, title: str, source: str) -> bool:
        """Take a title from a source that is as good as the present one."""
        found = self._conversations.get(number)
        if found is None or RANK[source] < RANK[found.title_source]:
            return False
        found.title, found.title_source = title, source
        self._touch(found)
        return True

    def delete(self, number: int) -> bool:
        """Delete a conversation."""
        return self._conversations.pop(number, None) is not None

    def _touch(self, found: Conversation, *, active: bool = False) -> None:
        self._clock += 1
        found.changes += 1
        if active:
            found.active = self._clock
