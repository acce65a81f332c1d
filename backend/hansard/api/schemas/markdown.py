"""Describe Markdown and the trees it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hansard.api.schemas.shapes import Schema, array, constant, nullable, ref, string, struct
from hansard.services.markdown import MOST_TEXTS, TEXT_CODE_POINTS

_TREE: Final = nullable(
    array(
        ref("MarkdownNode"),
        f"Null for a text that has more than {TEXT_CODE_POINTS:,} characters, is nested too deeply or takes too long: "
        "show it as it is.",
    )
)

SCHEMAS: Final[Mapping[str, Schema]] = {
    "ParseMarkdown": struct(
        {"texts": array(string(), f"Up to {MOST_TEXTS} texts.", maxItems=MOST_TEXTS)},
        closed=True,
        description="Texts to parse.",
    ),
    "MarkdownNode": {
        "description": "A text, or an element whose children are again such nodes.",
        "anyOf": [{"type": "string"}, ref("MarkdownElement")],
    },
    "MarkdownElement": struct(
        {
            "tag": string("The name of the HTML element."),
            "attrs": {"type": "object", "description": "Its attributes.", "additionalProperties": True},
            "children": array(ref("MarkdownNode")),
        },
        optional=("attrs",),
        description="An element.",
    ),
    "MarkdownTrees": struct(
        {"object": constant("list"), "data": array(_TREE, "One tree for each text, in the order sent.")},
        description="What the texts became.",
    ),
}
