"""Spell server-sent events."""

from __future__ import annotations


def spell_event(*, id_: str, type_: str, data: str) -> bytes:
    """Return one event; its data is one line, as all JSON of ours is."""
    return f"id: {id_}\nevent: {type_}\ndata: {data}\n\n".encode()
