"""Say in words what a JSON schema allows, for tables of a reference page."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]


def link(name: str) -> str:
    """Lead to where the page describes a schema."""
    return f"[{name}](#{name.lower()})"


def kind_of(schema: Schema) -> str:
    """Name the type of a value, with its bounds: `string, 1 to 255 characters`."""
    if "$ref" in schema:
        return link(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " or ".join(map(kind_of, schema["anyOf"]))
    if "const" in schema:
        return f"`{_json(schema['const'])}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"array of {_plural(schema['items'])}{_bounds(schema, 'Items')}"
    return f"{schema.get('type', 'anything')}{_bounds(schema, 'Length')}{_range(schema)}"


def fields_of(schema: Schema) -> Iterator[str]:
    """Yield the rows of a table of an object's fields."""
    yield "| Field | Type | |"
    yield "| --- | --- | --- |"
    for name, field in schema["properties"].items():
        must = "" if name in schema.get("required", ()) else "Optional. "
        yield f"| `{name}` | {kind_of(field)} | {must}{told(field)} |"


def variants_of(schema: Schema, schemas: Mapping[str, Schema]) -> Iterator[str]:
    """Yield the rows of a table of what an object may be, by its `type`."""
    yield "| `type` | | Fields that are always there |"
    yield "| --- | --- | --- |"
    for variant in schema["anyOf"]:
        name = variant["$ref"].rpartition("/")[2]
        found = schemas[name]
        type_ = found.get("properties", {}).get("type", {})
        shown = link(name) if "anyOf" in found else kind_of(type_) if _is_one(type_) else "any other"
        always = [field for field in found.get("required", ()) if field != "type"]
        yield f"| {shown} | {found.get('description', '')} | {', '.join(f'`{field}`' for field in always)} |"


def told(schema: Schema) -> str:
    """Return a description, with the default where there is one."""
    default = f" Default: `{_json(schema['default'])}`." if "default" in schema else ""
    return f"{schema.get('description', '')}{default}".strip()


def _is_one(schema: Schema) -> bool:
    inner = schema.get("anyOf", [schema])[0]
    return "const" in inner or "enum" in inner


def _plural(items: Schema) -> str:
    kind = kind_of(items)
    return {"string": "strings", "object": "objects", "anything": "anything"}.get(kind, kind)


def _bounds(schema: Schema, what: str) -> str:
    least, most = schema.get(f"min{what}", 0), schema.get(f"max{what}")
    if most is None:
        return ""
    unit = {"Length": " characters", "Items": ""}[what]
    return f", {least} to {most}{unit}" if least else f", up to {most}{unit}"


def _range(schema: Schema) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if most is not None:
        return f", {least} to {most}"
    return "" if least is None else f", at least {least}"


def _json(value: object) -> str:
    return json.dumps(value).strip('"')
