"""Take a title from what was said first."""

from __future__ import annotations

from collections.abc import Iterable

from hansard.models.verbatim import ItemColumns

AUTO_TITLE_CODE_POINTS = 60
_LOOKED_AT = 1000
# So many words are longer than a title, and what comes after them need not be split.
_WORDS = AUTO_TITLE_CODE_POINTS // 2 + 1


def first_message_title(items: Iterable[ItemColumns]) -> str | None:
    """Return the beginning of the first user message, on one line, cut between words; ``None`` without text."""
    for item in items:
        if item.role == "user" and item.kind == "message":
            words = item.content[:_LOOKED_AT].split(maxsplit=_WORDS)
            return _cut(" ".join(words)) if words else None
    return None


def _cut(text: str) -> str:
    if len(text) <= AUTO_TITLE_CODE_POINTS:
        return text
    head, _, _ = text[:AUTO_TITLE_CODE_POINTS].rpartition(" ")
    return (head or text[: AUTO_TITLE_CODE_POINTS - 1]) + "…"
