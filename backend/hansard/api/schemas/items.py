"""Describe items, as they are sent and as they are shown: one schema for each type, and one for all others.

Fields and prefixes come from the rules by which items are checked, so what stands here is what is so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from hansard.api.intake import MOST_ITEMS, PART_TEXTS, REFERENCE, ROLES, STATUS_CHECKED, STATUSES
from hansard.api.schemas.shapes import NO_NUL, Schema, array, constant, id_of, nullable, page_of, ref, string, struct
from hansard.models.kinds import KINDS, OTHER_PREFIX, Kind, Types
from hansard.models.verbatim import KIND_CODE_POINTS, STATUS_CODE_POINTS

# What the item of each type is.
ABOUT: Final[Mapping[str, str]] = {
    "message": "What somebody said.",
    "function_call": "The model asks for a function of the client.",
    "function_call_output": "What that function answered.",
    "file_search_call": "The model searched files.",
    "web_search_call": "The model searched the web.",
    "image_generation_call": "The model made an image.",
    "computer_call": "The model asks for an action on a computer.",
    "computer_call_output": "What the computer shows afterwards.",
    "tool_search_call": "The model looks for tools.",
    "tool_search_output": "The tools that were found.",
    "additional_tools": "Tools that the model may use from here on.",
    "configuration_update": "The model is set up otherwise from here on.",
    "reasoning": "What the model thought.",
    "program": "A program that the model wrote to call tools.",
    "program_output": "What came of that program.",
    "compaction": "What stands for all items before it.",
    "code_interpreter_call": "The model ran code.",
    "local_shell_call": "The model asks for a command on the client's machine.",
    "local_shell_call_output": "What that command answered.",
    "shell_call": "The model asks for commands in a shell.",
    "shell_call_output": "What those commands answered.",
    "apply_patch_call": "The model asks for a change of a file.",
    "apply_patch_call_output": "Whether that change was made.",
    "mcp_list_tools": "The tools of an MCP server.",
    "mcp_approval_request": "The model asks to be allowed a call of an MCP tool.",
    "mcp_approval_response": "Whether that call is allowed.",
    "mcp_call": "The model called an MCP tool.",
    "custom_tool_call": "The model asks for a tool whose input is plain text.",
    "custom_tool_call_output": "What that tool answered.",
}

_OPEN: Final[Schema] = {"additionalProperties": True}
_BOUNDS: Final[Schema] = {"minLength": 1, "maxLength": KIND_CODE_POINTS, "pattern": NO_NUL}
_ANY_PARTS: Final[Schema] = {"type": "array", "items": {}}
_OF_TYPES: Final[Mapping[Types, Schema]] = {
    (str,): {"type": "string"},
    (list,): _ANY_PARTS,
    (dict,): {"type": "object", **_OPEN},
    (bool,): {"type": "boolean"},
    (str, list): {"anyOf": [{"type": "string"}, _ANY_PARTS]},
    (object,): {},
}
_PARTS: Final = array(ref("ContentPart"))
_ROLE: Final = string("Who said it.", enum=list(ROLES))
_STATUS: Final = string("How far it is.", enum=list(STATUSES))
_ANY_STATUS: Final = string("How far it is.", maxLength=STATUS_CODE_POINTS, pattern=NO_NUL, examples=list(STATUSES))
# Without a type: anything but a string is kept as it is.
_FREE_STATUS: Final = {name: value for name, value in _ANY_STATUS.items() if name != "type"}
_SENT_ID: Final = nullable(
    string(
        "Never becomes the item's own id. That of an item of yours in another conversation stands for a copy of that "
        "item; one of this conversation is refused; any other is ignored."
    )
)


def _name(kind: str, role: str) -> str:
    return "".join(map(str.capitalize, kind.split("_"))) + role


def _fields(known: Kind) -> Schema:
    return {name: _OF_TYPES[types] for name, types in known.fields.items()}


def _sent(kind: str, known: Kind) -> Schema:
    """Describe an item as a client sends it."""
    type_, optional = constant(kind), ["id", "status"]
    fields = _fields(known)
    if kind == "message":
        type_, optional = nullable(type_), [*optional, "type"]
        fields = {"role": _ROLE, "content": {"anyOf": [{"type": "string"}, _PARTS]}}
    status = nullable(_STATUS if kind in STATUS_CHECKED else _ANY_STATUS)
    properties = {"type": type_, "id": _SENT_ID, **fields, "status": status}
    return struct(properties, optional=tuple(optional), description=ABOUT[kind], **_OPEN)


def _shown(kind: str, known: Kind) -> Schema:
    """Describe an item as it is shown."""
    fields = _fields(known)
    if kind == "message":
        fields = {"role": _ROLE, "content": _PARTS}
    if kind in {"tool_search_call", "tool_search_output"}:
        fields["execution"] = string("Who searches: `client` or `server`.", examples=["client", "server"])
    status = _STATUS if kind in STATUS_CHECKED else _ANY_STATUS
    fields["status"] = status if known.has_status else nullable(status)
    properties = {"id": id_of(known.prefix, "The item's id."), "type": constant(kind), **fields}
    optional = () if known.has_status else ("status",)
    return struct(properties, optional=optional, description=ABOUT[kind], **_OPEN)


def _others(*known: str, **bounds: Any) -> Schema:
    return string("Any other type.", **bounds, **{"not": {"enum": list(known)}})


def _of_every_type() -> Iterator[tuple[str, Schema]]:
    for kind, known in KINDS.items():
        yield _name(kind, "Input"), _sent(kind, known)
        yield _name(kind, "Item"), _shown(kind, known)


SCHEMAS: Final[Mapping[str, Schema]] = {
    "InputItem": {
        "description": "An item as a client sends it. The set of types is open: others are stored untouched.",
        "anyOf": [*(ref(_name(kind, "Input")) for kind in KINDS), ref("ItemReference"), ref("OtherInput")],
    },
    "ConversationItem": {
        "description": "An item as it is stored: every field as it was sent, and those filled in that the API "
        "requires. The set of types is open.",
        "anyOf": [*(ref(_name(kind, "Item")) for kind in KINDS), ref("OtherItem")],
    },
    "ConversationItemList": page_of("ConversationItem", after="Hand it over as `after` for the next page."),
    "CreateItems": struct(
        {"items": array(ref("InputItem"), f"Up to {MOST_ITEMS} items, in their order.", maxItems=MOST_ITEMS)},
        closed=True,
        description="Items to append.",
    ),
    "ItemReference": struct(
        {"type": nullable(constant(REFERENCE)), "id": string("The id of an item of yours in another conversation.")},
        optional=("type",),
        description="Stands for a copy of an item.",
    ),
    "OtherInput": struct(
        {"type": _others(*KINDS, REFERENCE, **_BOUNDS), "id": _SENT_ID, "status": _FREE_STATUS},
        optional=("id", "status"),
        description="An item of a type that is not known here; it is stored untouched.",
        **_OPEN,
    ),
    "OtherItem": struct(
        {"id": id_of(OTHER_PREFIX, "The item's id."), "type": _others(*KINDS, **_BOUNDS)},
        optional=("type",),
        description="An item of a type that is not known here, as it was sent.",
        **_OPEN,
    ),
    "ContentPart": {
        "description": "A part of a message. The set of types is open: others are stored untouched.",
        "anyOf": [ref("TextPart"), ref("RefusalPart"), ref("OtherPart")],
    },
    "TextPart": struct(
        {"type": string(enum=[kind for kind, field in PART_TEXTS.items() if field == "text"]), "text": string()},
        description="Text; any code points, also NUL and lone surrogates.",
        **_OPEN,
    ),
    "RefusalPart": struct(
        {"type": constant("refusal"), "refusal": string("Why.")}, description="The model refuses.", **_OPEN
    ),
    "OtherPart": struct(
        {"type": _others(*PART_TEXTS)}, description="An image, a file, or what is not known here.", **_OPEN
    ),
    **dict(_of_every_type()),
}
