"""Spell out the JSON of requests and answers for the OpenAPI document, a module for each noun.

They are written by hand because no class of ours has these shapes: bodies are read and written raw, so that every
string stays as it was sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hansard.api.schemas import conversations, events, items, markdown, responses, search, service, tasks
from hansard.api.schemas.shapes import Schema

SCHEMAS: Final[Mapping[str, Schema]] = {
    **service.SCHEMAS,
    **conversations.SCHEMAS,
    **items.SCHEMAS,
    **responses.SCHEMAS,
    **events.SCHEMAS,
    **search.SCHEMAS,
    **tasks.SCHEMAS,
    **markdown.SCHEMAS,
}
