"""Ask a live service by the names of its operations, and keep what was said.

What differs from one telling to the next (ids, times, cursors) is replaced by what always stays the same, so what is
kept changes only when the service does.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import httpx


class Teller:
    """Ask by the names of operations, and keep every request with its answer, in the order asked."""

    def __init__(self, client: httpx.Client, document: Mapping[str, Any]) -> None:
        self.client = client
        self.document = document
        self.exchanges: list[dict[str, Any]] = []
        self.operations: dict[str, Mapping[str, Any]] = {}
        self._places: dict[str, tuple[str, str]] = {}
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                self.operations[operation["operationId"]] = operation
                self._places[operation["operationId"]] = method.upper(), path

    def ask(
        self,
        operation: str,
        title: str,
        *,
        path: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        content: Iterable[bytes] | None = None,
        events: int | None = None,
    ) -> Any:
        """Return the answer's JSON, or of a stream its text; of one that does not end, so many ``events``.

        ``content`` is a body that is not kept.
        """
        method, template = self._places[operation]
        url = template.format_map(path or {})
        sent = {"path": path, "query": query, "headers": headers, "body": body}
        kept = {
            "operation": operation,
            "title": title,
            **{name: value for name, value in sent.items() if value is not None},
        }
        with self.client.stream(method, url, params=query, headers=headers, json=body, content=content) as response:
            answer = _read(response, events)
        kept["status"] = response.status_code
        if answer is not None:
            kept["answer"] = answer
        if response.is_error:
            # What is refused is nothing to copy.
            kept = {name: kept[name] for name in ("operation", "title", "status", "answer")}
        self.exchanges.append(kept)
        return answer

    def kept(self) -> list[dict[str, Any]]:
        """Return the exchanges, as every telling has them."""
        return list(_Constant().of(self.exchanges))


def events_of(stream: str) -> list[Any]:
    """Return the data of the events of a stream."""
    lines = stream.splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


def _read(response: httpx.Response, events: int | None) -> Any:
    if response.headers.get("content-type", "").startswith("text/event-stream"):
        text = ""
        for line in response.iter_lines():
            text += f"{line}\n"
            if events is not None and text.count("\n\n") == events:
                break
        return text
    content = response.read()
    return json.loads(content) if content else None


class _Constant:
    """Replace what is different in every telling, in the order in which it appears."""

    _ID = re.compile(
        r"(?<=_)([0-9a-f]{32})([0-9a-f]{16})(?![0-9a-f])"
        r"|(?<=call_)[0-9a-f]{32}|(?<=req_)[0-9a-f]{32}|(?<=\.)[0-9a-f]{32}(?=\.)"
    )
    _NOW = 1_796_000_000
    _INSTANT = "2026-11-30T12:53:20Z"
    _OPAQUE = "eyJvcGFxdWUi"

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def of(self, value: Any, name: str = "") -> Any:
        """Return the value with constants in it; ``name`` is that of the field it stands in."""
        if isinstance(value, dict):
            return {key: self.of(inner, key) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.of(inner, name) for inner in value]
        if name.endswith("_at") and value is not None:
            return self._NOW if isinstance(value, int) else self._INSTANT
        if name == "code" and isinstance(value, str) and len(value) > 60:
            return "the-code-of-the-url"
        if name == "last_id" and value and not self._ID.search(value):
            return self._OPAQUE
        return self._text(value) if isinstance(value, str) else value

    def _text(self, text: str) -> str:
        text = re.sub(r'("\w+_at":)\d+', rf"\g<1>{self._NOW}", text)
        text = re.sub(r"(?<=try again in )\w+", "1m0s", text)
        return self._ID.sub(self._id, text)

    def _id(self, found: re.Match[str]) -> str:
        head, place = (found[1], found[2]) if found[1] else (found[0], "")
        number = self._known.setdefault(head, f"{len(self._known) + 1:02x}")
        made = f"019c0b6f3a5e7d10a1b2c3d4e5f607{number}"
        # Behind a conversation's id stands the place of an item; the rest of an id of any other kind is random.
        return made + (place if place.startswith("000") or not place else made[:16])
