"""Spell items as the API shows them, and read the ids that clients send back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, Protocol
from uuid import UUID

from hansard.api.includes import leave_out
from hansard.api.quoting import quoted
from hansard.errors import NotFound
from hansard.models.kinds import KINDS, PREFIXES, prefix_of
from hansard.models.limits import JsonObject
from hansard.models.message import MessageRead
from hansard.models.verbatim import message_item
from hansard.store.contract import ItemName, ItemRef, Items
from hansard.utils import ids
from hansard.utils.json_text import write_json

COMPLETED: Final = "completed"
_PLAIN_KEYS: Final = frozenset({"type", "role", "status", "content"})
# No set: a stored part may have anything for a type, also what cannot be looked up in one.
_PICTURES: Final = ("input_image", "computer_screenshot")
# These hold content parts, in which the API wants a few fields that clients may leave out.
_PART_FIELDS: Final = ("content", "output")


def read_conversation_id(text: str) -> UUID:
    """Return the UUID in ``conv_…``; raises `NotFound`, because what cannot be an id names nothing."""
    found = ids.parse(text, prefix="conv")
    if found is None or found.tail:
        raise NotFound("conversation", text)
    return found.uuid


def read_response_id(text: str) -> UUID:
    """Return the UUID in ``resp_…``; raises `NotFound`, because what cannot be an id names nothing."""
    found = ids.parse(text, prefix="resp")
    if found is None or found.tail:
        raise NotFound("response", text)
    return found.uuid


def read_item_ref(text: str, conversation_id: UUID) -> ItemRef:
    """Return how the store names the item of this conversation; raises `NotFound` when it can have none such.

    The prefix is only known to be some item's: `get_item` compares it with the stored item.
    """
    found = ids.parse(text)
    if found is not None and text.rpartition("_")[0] in PREFIXES:
        if found.minted:
            return found.raw
        if found.uuid == conversation_id and found.tail:
            return found.tail
    raise NotFound("item", text)


async def get_item(items: Items, conversation_id: UUID, text: str) -> MessageRead:
    """Return the item that has exactly this id in this conversation; raises `NotFound`."""
    read = await items.get(conversation_id, read_item_ref(text, conversation_id))
    if item_id(read) != text:
        raise NotFound("item", text)
    return read


async def find_items(items: Items, texts: Iterable[str]) -> dict[str, MessageRead]:
    """Return those of the user's items that have exactly these ids, in whichever conversation they are."""
    names = {text: name for text in texts if (name := _item_name(text)) is not None}
    found = await items.find(list(names.values()))
    return {text: read for text, read in zip(names, found, strict=True) if read is not None and item_id(read) == text}


def _item_name(text: str) -> ItemName | None:
    found = ids.parse(text)
    if found is None:
        return None
    return found.raw if found.minted else (found.uuid, found.tail)


class StoredItem(Protocol):
    """Be whatever tells where an item is stored, and of which kind it is."""

    @property
    def conversation_id(self) -> UUID:
        """Return the conversation that it is in."""

    @property
    def position(self) -> int:
        """Return its place there."""

    @property
    def kind(self) -> str:
        """Return its type."""

    @property
    def public_id(self) -> bytes | None:
        """Return the id that it was announced with, if it was."""


def item_id(read: StoredItem) -> str:
    """Return the id that the API shows for a stored item."""
    prefix = prefix_of(read.kind)
    if read.public_id is not None:
        return f"{prefix}_{read.public_id.hex()}"
    return ids.spell(prefix, read.conversation_id, read.position)


def item_json(read: MessageRead, left_out: frozenset[str] = frozenset()) -> bytes:
    """Return a stored item as the API shows it, as JSON, without what is left out (see `leave_out`)."""
    return _item_text(read, item_id(read), left_out).encode("ascii")


def _item_text(read: MessageRead, own_id: str, left_out: frozenset[str]) -> str:
    """Write nearly all items, messages with one text, without building the object first.

    Such a message has one of the five roles (see `hansard.models.verbatim`), so that needs no quoting.
    """
    if read.payload is not None:
        return write_json(leave_out(item_view(read), left_out)).decode("ascii")
    before, behind = _around_text(read.role, read.status)
    return f'{{"id":"{own_id}{before}{quoted(read.content)}{behind}'


@lru_cache(maxsize=64)
def _around_text(role: str | None, status: str | None) -> tuple[str, str]:
    """Return what stands between a message's id and its text, and what stands behind that."""
    kind, more = ("output_text", ',"annotations":[],"logprobs":[]') if role == "assistant" else ("input_text", "")
    head = f'","type":"message","role":"{role}","status":{quoted(status or COMPLETED)},"content":[{{"type":"{kind}"'
    return f'{head},"text":', f"{more}}}]}}"


def item_view(read: MessageRead) -> JsonObject:
    """Return a stored item as the API shows it: with our id first, and what the API requires filled in."""
    item = normalise(read.item)
    return {"id": item_id(read), **item}


def list_json(data: Sequence[bytes], *, first_id: str, last_id: str, has_more: bool) -> bytes:
    """Return a list's envelope around elements that are JSON already; the ids of an empty page are ``""``."""
    more = "true" if has_more else "false"
    ends = f'],"first_id":{quoted(first_id)},"last_id":{quoted(last_id)},"has_more":{more}}}'
    return b'{"object":"list","data":[%b%b' % (b",".join(data), ends.encode("ascii"))


def item_list_json(page: Sequence[MessageRead], *, has_more: bool, left_out: frozenset[str] = frozenset()) -> bytes:
    """Return a page of items."""
    names = _item_ids(page)
    first, last = (names[0], names[-1]) if names else ("", "")
    data = ",".join([_item_text(read, name, left_out) for read, name in zip(page, names, strict=True)])
    return list_json([data.encode("ascii")], first_id=first, last_id=last, has_more=has_more)


def _item_ids(page: Sequence[StoredItem]) -> list[str]:
    """Return what `item_id` returns for each; to spell a conversation's part anew for each item takes the longest."""
    if not page:
        return []
    home = page[0].conversation_id
    digits = home.hex
    return [
        f"{prefix_of(read.kind)}_{digits}{read.position:016x}"
        if read.public_id is None and read.conversation_id is home
        else item_id(read)
        for read in page
    ]


def normalise(item: JsonObject) -> JsonObject:
    """Return an item with what the API requires of every item filled in, and without an id.

    A type or status that is missing is added, text in place of parts becomes a part; all else stays as and where
    it was. Items that came through the library have no rules, so nothing here may fail.
    """
    kind = item.get("type")
    if kind is None and "role" in item:
        kind = "message"
    known = KINDS.get(kind) if isinstance(kind, str) else None
    if known is None:
        return {key: value for key, value in item.items() if key != "id"}
    if kind == "message":
        return _normal_message(item)
    filled = {key: _normal_parts(value) if key in _PART_FIELDS else value for key, value in item.items() if key != "id"}
    if known.has_status and filled.get("status") is None:
        filled["status"] = COMPLETED
    if kind in {"tool_search_call", "tool_search_output"} and filled.get("execution") is None:
        # A search that the client runs is answered by call id; the server's own has none.
        filled["execution"] = "client" if filled.get("call_id") else "server"
    return filled


def _normal_message(item: JsonObject) -> JsonObject:
    role, content, status = item.get("role"), item.get("content"), item.get("status") or COMPLETED
    if isinstance(content, str) and isinstance(role, str):
        plain = message_item(role, status, content)
        if _PLAIN_KEYS.issuperset(item.keys() - {"id"}):
            return plain
        content = plain["content"]
    filled: JsonObject = {} if "type" in item else {"type": "message"}
    for key, value in item.items():
        if key == "content":
            # Before the content, where the shape that is stored without a payload has it.
            if "status" not in item:
                filled["status"] = status
            filled[key] = _normal_parts(content)
        elif key != "id":
            filled[key] = value
    return {**filled, "type": "message", "status": status}


def _normal_parts(parts: object) -> object:
    if not isinstance(parts, list):
        return parts
    return [_normal_part(part) if isinstance(part, dict) else part for part in parts]


def _normal_part(part: JsonObject) -> JsonObject:
    kind = part.get("type")
    if kind == "output_text":
        return _filled(part, {"annotations": [], "logprobs": []})
    if kind in _PICTURES:
        return _filled(part, {"detail": "auto"})
    return part


def _filled(part: JsonObject, defaults: JsonObject) -> JsonObject:
    return {**part, **{key: value for key, value in defaults.items() if part.get(key) is None}}
