"""Write the reference page of the HTTP API from its OpenAPI document, and from nothing else."""

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from tests.support.schema_words import fields_of, kind_of, link, told, variants_of

Document = Mapping[str, Any]

EXCUSE = "<!-- not run: by hand; tests/api/test_examples.py asks all of this of a live service -->"
_HEAD = """\
# HTTP API

<!-- Made from the OpenAPI document by `make docs`: change that, not this. -->

Every operation of the service, made from its own OpenAPI document, which a running service has at `/openapi.json`. \
All answers here are real ones, with ids, times and cursors made equal. What the API promises beyond single operations \
is in [its contract](../../specs/003-chat-database-schema/contracts/http.md).

The examples take the service's address from `$HANSARD_URL`, as `http://127.0.0.1:8000`, and the API key from \
`$HANSARD_API_KEY`; `hansard token` prints one. In Python they use the official OpenAI SDK:

{excuse}

```python
import os

import openai

client = openai.OpenAI(base_url=f"{{os.environ['HANSARD_URL']}}/v1", api_key=os.environ["HANSARD_API_KEY"])
```
"""
_PLACES = ("path", "query", "header")
_SHOWN_EVENTS = 4
_SHOWN = {
    *("InputItem", "MessageInput", "ConversationItem", "MessageItem", "ContentPart"),
    *("ResponseEvent", "ConversationEvent"),
}


def page_of(document: Document) -> str:
    """Return the page."""
    head = _HEAD.format(excuse=EXCUSE)
    return "\n".join([head, *_contents(document), *_operations(document), *_errors(document), *_objects(document)])


def _contents(document: Document) -> Iterator[str]:
    yield "## Operations"
    yield ""
    yield "| Operation | | SDK |"
    yield "| --- | --- | --- |"
    for method, path, operation in _walk(document):
        anchor = operation["summary"].lower().replace(" ", "-").translate({ord(sign): None for sign in ",?"})
        sdk = "✓" if "x-codeSamples" in operation else ""
        yield f"| `{method} {path}` | [{operation['summary']}](#{anchor}) | {sdk} |"
    yield ""


def _walk(document: Document) -> Iterator[tuple[str, str, Document]]:
    for tag in document["tags"]:
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                if operation["tags"] == [tag["name"]]:
                    yield method.upper(), path, operation


def _operations(document: Document) -> Iterator[str]:
    told_of = {tag["name"]: tag["description"] for tag in document["tags"]}
    last = ""
    for method, path, operation in _walk(document):
        [tag] = operation["tags"]
        if tag != last:
            yield f"## {tag}\n\n{told_of[tag]}\n"
            last = tag
        yield f"### {operation['summary']}\n\n`{method} {path}` (`{operation['operationId']}`)\n"
        yield f"{operation['description']}\n"
        yield from _parameters(operation)
        yield from _request(method, path, operation)
        yield from _answers(operation)


def _parameters(operation: Document) -> Iterator[str]:
    rows = [
        f"| `{parameter['name']}` | {parameter['in']} | {kind_of(parameter['schema'])} | "
        f"{_told_of_parameter(parameter)} |"
        for parameter in operation.get("parameters", ())
    ]
    if rows:
        yield "\n".join(["| Parameter | In | Type | |", "| --- | --- | --- | --- |", *rows, ""])


def _told_of_parameter(parameter: Document) -> str:
    must = "" if parameter.get("required") else "Optional. "
    return must + told({**parameter["schema"], "description": parameter.get("description", "")})


def _request(method: str, path: str, operation: Document) -> Iterator[str]:
    body = operation.get("requestBody")
    values = list(_values(next(iter(body["content"].values())))) if body else []
    if body:
        name = next(iter(body["content"].values()))["schema"]["$ref"].rpartition("/")[2]
        yield f"Body: {link(name)}{'' if body['required'] else ', which may be left out'}.\n"
    for number, (summary, value) in enumerate(values or [("", None)]):
        if len(values) > 1:
            yield f"{summary}:\n"
        # The optional parameters of an example belong to the first of its bodies.
        yield _block("sh", _curl(method, path, operation, value, places=_PLACES[: 1 if number else None]))
    for sample in operation.get("x-codeSamples", ()):
        yield _block(sample["lang"], sample["source"])


def _curl(method: str, path: str, operation: Document, body: Any, *, places: tuple[str, ...]) -> str:
    examples: dict[str, dict[str, Any]] = {place: {} for place in _PLACES}
    for parameter in operation.get("parameters", ()):
        if "example" in parameter and parameter["in"] in places:
            examples[parameter["in"]][parameter["name"]] = parameter["example"]
    url = f"$HANSARD_URL{path.format_map(examples['path'])}"
    if examples["query"]:
        url += f"?{urlencode(examples['query'])}"
    verb = "" if method == "GET" or (method == "POST" and body is not None) else f"-X {method} "
    # Events are shown as they come.
    streams = (body or {}).get("stream") or "stream=true" in url or path.endswith("/events")
    lines = [f'curl {"-N " if streams else ""}{verb}"{url}"']
    if "security" in operation:
        lines.append('-H "Authorization: Bearer $HANSARD_API_KEY"')
    lines += [f'-H "{name}: {value}"' for name, value in examples["header"].items()]
    if body is not None:
        lines += ['-H "Content-Type: application/json"', f"-d {shlex.quote(json.dumps(body, ensure_ascii=False))}"]
    return " \\\n  ".join(lines)


def _answers(operation: Document) -> Iterator[str]:
    refused = []
    for status, answer in operation["responses"].items():
        if "$ref" in answer:
            refused.append(f"[{status}](#errors)")
            continue
        yield f"Answer {status}: {answer['description']}"
        yield ""
        for media_type, content in answer.get("content", {}).items():
            yield from _answer(media_type, content)
    yield f"Errors: {', '.join(refused)}.\n"


def _answer(media_type: str, content: Document) -> Iterator[str]:
    if media_type == "text/event-stream":
        name = content["schema"]["properties"]["data"]["contentSchema"]["$ref"].rpartition("/")[2]
        yield f"`{media_type}`, the `data` of each event a {link(name)}:\n"
    else:
        yield f"`{media_type}`, {kind_of(content['schema'])}:\n"
    for _, value in list(_values(content))[:1]:
        yield _block("text", _shortened(value)) if isinstance(value, str) else _block("json", _pretty(value))


def _shortened(stream: str) -> str:
    """Show the first events of a stream, each line of a length that can be read."""
    events = stream.strip().split("\n\n")
    lines = "\n\n".join(events[:_SHOWN_EVENTS]).splitlines()
    more = ["", "…"] if len(events) > _SHOWN_EVENTS else []
    return "\n".join([*(line if len(line) <= 160 else f"{line[:159]}…" for line in lines), *more])


def _errors(document: Document) -> Iterator[str]:
    yield "## Errors\n"
    yield "Every error has the body [Error](#error). `x-should-retry` says whether trying again can help.\n"
    yield "| Status | When |\n| --- | --- |"
    refusals = document["components"]["responses"]
    statuses = {
        answer["$ref"].rpartition("/")[2]: status
        for _, _, operation in _walk(document)
        for status, answer in operation["responses"].items()
        if "$ref" in answer
    }
    rows = {status: refusals[name]["description"] for name, status in statuses.items()}
    rows["405"] = "The path has other methods, which `allow` names."
    yield from (f"| {status} | {when} |" for status, when in sorted(rows.items()))
    yield ""
    for name, status in sorted(statuses.items(), key=lambda pair: pair[1]):
        for summary, value in _values(refusals[name]["content"]["application/json"]):
            yield f"{status}, {summary[0].lower()}{summary[1:]}:\n"
            yield _block("json", _pretty(value))
    yield "## Headers of answers\n\n| Header | |\n| --- | --- |"
    for name, header in document["components"]["headers"].items():
        yield f"| `{name}` | {header['description']} |"
    yield ""


def _objects(document: Document) -> Iterator[str]:
    yield "## Objects\n"
    schemas = document["components"]["schemas"]
    for name, schema in schemas.items():
        if _has_a_place(name):
            yield f"### {name}\n\n{schema['description']}\n"
            yield "\n".join(_table(schema, schemas)) + "\n"


def _table(schema: Document, schemas: Document) -> Iterator[str]:
    if "properties" in schema:
        return fields_of(schema)
    if all("$ref" in variant for variant in schema["anyOf"]):
        return variants_of(schema, schemas)
    return iter([f"Type: {kind_of(schema)}."])


def _has_a_place(name: str) -> bool:
    # The other members of a union are only rows of its table.
    return name in _SHOWN or not name.endswith(("Input", "Item", "Event", "Part", "Reference"))


def _values(content: Document) -> Iterator[tuple[str, Any]]:
    for example in content.get("examples", {}).values():
        yield example["summary"], example["value"]


def _pretty(value: Any) -> str:
    """Write JSON with what fits on a line on one line."""
    return _folded(value, 0)


def _folded(value: Any, depth: int) -> str:
    flat = json.dumps(value, ensure_ascii=False)
    if len(flat) + 2 * depth <= 100 or not isinstance(value, dict | list) or not value:
        return flat
    inner = "  " * (depth + 1)
    if isinstance(value, list):
        parts, (begin, end) = [_folded(one, depth + 1) for one in value], "[]"
    else:
        parts, (begin, end) = [f"{json.dumps(name)}: {_folded(one, depth + 1)}" for name, one in value.items()], "{}"
    return f"{begin}\n{inner}" + f",\n{inner}".join(parts) + f"\n{'  ' * depth}{end}"


def _block(language: str, code: str) -> str:
    excuse = f"{EXCUSE}\n\n" if language in {"sh", "python"} else ""
    return f"{excuse}```{language}\n{code}\n```\n"
