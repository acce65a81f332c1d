"""Serve Markdown as a tree: a page that builds its own elements from it needs no parser and no HTML."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from fastapi import APIRouter, Response

from hansard.api.answers import JsonAnswer
from hansard.api.bodies import check_known, missing, wrong_type
from hansard.api.deps import JsonBody
from hansard.api.openapi import body_of, describes
from hansard.errors import TooLarge
from hansard.models.limits import JsonObject
from hansard.services.markdown import MOST_TEXTS, Node, parse_markdown
from hansard.utils.json_text import write_json

router = APIRouter(tags=["Markdown"])

# Of a processor. One hostile text must not use up the time of those that were sent with it.
SECONDS_EACH: Final = 0.5
SECONDS: Final = 2.0
# Of a clock. Who waited so long behind others gets the texts as they are.
PATIENCE_SECONDS: Final = 8.0
_FIELDS: Final = frozenset({"texts"})


# Parsing holds the interpreter, so more threads would not be faster; with one, a hostile text would keep everybody
# waiting.
_threads: Final = ThreadPoolExecutor(max_workers=2, thread_name_prefix="markdown")


@router.post(
    "/v1/markdown",
    operation_id="parseMarkdown",
    summary="Parse Markdown",
    responses=describes("MarkdownTrees"),
    openapi_extra=body_of("ParseMarkdown"),
)
async def parse_texts(body: JsonBody) -> Response:
    """Return each text as a tree of elements without HTML; nothing is stored."""
    check_known(body, known=_FIELDS)
    texts = _read_texts(body)
    latest = time.monotonic() + PATIENCE_SECONDS
    trees = await asyncio.get_running_loop().run_in_executor(_threads, _parse, texts, latest)
    return JsonAnswer(write_json({"object": "list", "data": trees}))


def _parse(texts: Sequence[str], latest: float) -> list[list[Node] | None]:
    deadline = time.thread_time() + SECONDS
    return [
        parse_markdown(text, deadline=min(deadline, time.thread_time() + SECONDS_EACH))
        if time.monotonic() < latest
        else None
        for text in texts
    ]


def _read_texts(body: JsonObject) -> list[str]:
    if "texts" not in body:
        raise missing("texts")
    texts = body["texts"]
    if not isinstance(texts, list):
        raise wrong_type(texts, param="texts", expected="an array")
    if len(texts) > MOST_TEXTS:
        raise TooLarge(f"'texts' has {len(texts)} elements; the limit is {MOST_TEXTS}.", param="texts")
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise wrong_type(text, param=f"texts[{index}]", expected="a string")
    return texts
