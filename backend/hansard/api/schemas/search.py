"""Describe what a search finds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hansard.api.schemas.shapes import (
    CONVERSATION_ID,
    TITLE,
    Schema,
    array,
    boolean,
    constant,
    integer,
    nullable,
    page_of,
    seconds,
    string,
    struct,
)
from hansard.models.kinds import KINDS

SCHEMAS: Final[Mapping[str, Schema]] = {
    "SearchResult": struct(
        {
            "object": constant("search.result"),
            "item_id": string("The id of the item that was found."),
            "item_type": string("Its type.", examples=list(KINDS)),
            "role": nullable(string("The role of a message; null for other items.")),
            "conversation_id": CONVERSATION_ID,
            "conversation_title": nullable(TITLE),
            "created_at": seconds("When the item was stored."),
            "score": integer("What the results are sorted by, the highest first; of no meaning elsewhere."),
            "snippet": array(
                struct({"text": string(), "match": boolean("Whether this piece is what was looked for.")}),
                "About 240 characters around the first match, in pieces. Nothing in them is markup.",
            ),
        },
        description="An item that a search found.",
    ),
    "SearchResultList": page_of(
        "SearchResult",
        after="Opaque; hand it over as `after` for the next page. It counts for this user, query and filter alone.",
    ),
}
