"""Spell JSON Schema with few words: what the schemas of all nouns are made of."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from hansard.models.limits import (
    METADATA_KEY_CODE_POINTS,
    METADATA_PAIRS,
    METADATA_VALUE_CODE_POINTS,
    TITLE_CODE_POINTS,
)

Schema: TypeAlias = dict[str, Any]

# A string of JSON may hold it; a column of text may not. What `.` means depends on who reads it.
NO_NUL: Final = r"^[^\u0000]*$"


def _told(description: str) -> Schema:
    return {"description": description} if description else {}


def struct(properties: Schema, *, optional: tuple[str, ...] = (), closed: bool = False, **more: Any) -> Schema:
    """Describe an object whose properties are required unless they are ``optional``; a ``closed`` one has no others."""
    required = [name for name in properties if name not in optional]
    return {
        "type": "object",
        **more,
        "properties": properties,
        **({"required": required} if required else {}),
        **({"additionalProperties": False} if closed else {}),
    }


def string(description: str = "", **more: Any) -> Schema:
    """Describe a string."""
    return {"type": "string", **_told(description), **more}


def integer(description: str = "", **more: Any) -> Schema:
    """Describe a whole number."""
    return {"type": "integer", **_told(description), **more}


def boolean(description: str = "", **more: Any) -> Schema:
    """Describe a truth value."""
    return {"type": "boolean", **_told(description), **more}


def array(items: Schema, description: str = "", **more: Any) -> Schema:
    """Describe an array."""
    return {"type": "array", "items": items, **_told(description), **more}


def constant(value: str) -> Schema:
    """Describe a string that is always the same."""
    return {"type": "string", "const": value}


def nullable(schema: Schema) -> Schema:
    """Describe a value that may be null; its description moves to where readers look for it."""
    inner = {name: value for name, value in schema.items() if name != "description"}
    return {"anyOf": [inner, {"type": "null"}], **_told(schema.get("description", ""))}


def ref(name: str, description: str = "") -> Schema:
    """Refer to a schema by its name."""
    return {"$ref": f"#/components/schemas/{name}", **_told(description)}


def page_of(element: str, *, after: str) -> Schema:
    """Describe a page of a list; ``after`` says how to go on behind it."""
    return struct(
        {
            "object": constant("list"),
            "data": array(ref(element), maxItems=100),
            "first_id": string('The id of the first element; `""` where the page is empty.'),
            "last_id": string(after),
            "has_more": boolean("Whether there is another page."),
        },
        description=f"A page of objects `{element}`.",
    )


def id_of(prefix: str, description: str) -> Schema:
    """Describe an id of ours."""
    return string(description, pattern=f"^{prefix}_[0-9a-f]{{48}}$")


def seconds(description: str) -> Schema:
    """Describe a moment."""
    return integer(f"{description} In whole seconds since 1970, UTC.")


CONVERSATION_ID: Final = id_of("conv", "The conversation's id.")
TITLE: Final = string(
    f"1 to {TITLE_CODE_POINTS} characters, none of them NUL.", minLength=1, maxLength=TITLE_CODE_POINTS, pattern=NO_NUL
)
METADATA: Final[Schema] = {
    "type": "object",
    "description": f"Up to {METADATA_PAIRS} pairs of strings of your own; keys have 1 to {METADATA_KEY_CODE_POINTS} "
    f"characters, values up to {METADATA_VALUE_CODE_POINTS}.",
    "maxProperties": METADATA_PAIRS,
    "propertyNames": {"minLength": 1, "maxLength": METADATA_KEY_CODE_POINTS},
    "additionalProperties": {"type": "string", "maxLength": METADATA_VALUE_CODE_POINTS},
}
