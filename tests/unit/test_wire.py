"""The quick way to write an item says the same as the thorough one, and filling in is done once."""

import json
from datetime import datetime, timezone
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansard.api.wire import item_id, item_json, item_view, normalise
from hansard.models.kinds import KINDS, OTHER_PREFIX, PREFIXES, prefix_of
from hansard.models.message import MessageRead
from hansard.models.verbatim import encode_item, message_item
from hansard.utils import ids

HOME = UUID("019c0b6f-3a5e-7d10-a1b2-c3d4e5f60718")
ROLES = st.sampled_from(["user", "assistant", "system", "developer", "tool"])
TEXT = st.text(st.characters(codec="utf-8"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def stored(item: dict[str, Any], *, public_id: bytes | None = None) -> MessageRead:
    """The item as the store gives it back."""
    columns = encode_item(item)
    created_at = datetime(2026, 1, 1, tzinfo=timezone.utc)
    return MessageRead(HOME, 7, *columns, client_id=None, public_id=public_id, created_at=created_at)


@given(role=ROLES, status=st.sampled_from(["completed", "in_progress", 'odd "status"']), text=TEXT, short=st.booleans())
def test_the_quick_way_says_the_same(role: str, status: str, text: str, short: bool):
    read = stored({"role": role, "content": text} if short else message_item(role, status, text))
    assert read.payload is None or "\x00" in text
    assert list(json.loads(item_json(read)).items()) == list(item_view(read).items())


@given(item=st.dictionaries(st.sampled_from(["type", "role", "content", "id", "status", "output", "x"]), JSON))
def test_whatever_the_library_stored_can_be_shown(item: dict[str, Any]):
    shown = normalise(item)
    assert normalise(shown) == shown
    assert "id" not in shown
    assert {key: value for key, value in item.items() if key == "x"}.items() <= shown.items()


@given(
    kind=st.sampled_from([kind for kind in KINDS if kind != "message"] + ["of-the-future"]),
    fields=st.dictionaries(st.text(st.characters(codec="ascii"), min_size=1), JSON),
)
def test_what_was_sent_stays_as_and_where_it_was(kind: str, fields: dict[str, Any]):
    sent = {**fields, "type": kind}
    for special in ("id", "status", "content", "output", "execution"):
        sent.pop(special, None)
    shown = normalise(sent)
    assert list(shown.items())[: len(sent)] == list(sent.items())


def test_prefixes_tell_types_apart():
    prefixes = [kind.prefix for kind in KINDS.values()]
    assert len(set(prefixes)) == len(prefixes)
    assert set(prefixes) | {OTHER_PREFIX} == PREFIXES
    assert prefix_of("of-the-future") == OTHER_PREFIX
    assert not PREFIXES & {"conv", "resp"}


@pytest.mark.parametrize("kind", ["message", "function_call", "of-the-future"])
def test_an_id_is_the_place_or_what_was_announced(kind: str):
    item = {"type": kind, "role": "user", "content": "x"}
    assert item_id(stored(item)) == ids.spell(prefix_of(kind), HOME, 7)
    minted = ids.mint()
    assert item_id(stored(item, public_id=minted)) == f"{prefix_of(kind)}_{minted.hex()}"
