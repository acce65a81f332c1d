"""Serve the files of the page: the document with a strict content security policy, the rest to be kept for ever."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Final

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

_FOLDER: Final = Path(__file__).parent / "static"
_DOCUMENT: Final = "index.html"
_TYPES: Final = {".css": "text/css", ".html": "text/html", ".js": "text/javascript"}
# No script but ours, no HTML from strings, no request to anybody else: also if a reply ever got through as markup.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_DOCUMENT_HEADERS: Final = {
    "content-security-policy": _POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-cache",
}
_ASSET_HEADERS: Final = {"cache-control": "public, max-age=31536000, immutable"}


class _File:
    """Hold a file as it is sent: packed once, not for every visitor."""

    def __init__(self, content: bytes, media_type: str, headers: Mapping[str, str]) -> None:
        self._content = content
        self._packed = gzip.compress(content, mtime=0)
        self._media_type = media_type
        self._headers = {**headers, "vary": "accept-encoding"}

    def answer(self, request: Request) -> Response:
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(self._content, media_type=self._media_type, headers=self._headers)
        headers = {**self._headers, "content-encoding": "gzip"}
        return Response(self._packed, media_type=self._media_type, headers=headers)


def page_router(*, sign_in_url: str = "") -> APIRouter:
    """Return the routes of the page.

    ``sign_in_url`` is where the page sends people whose session has ended; without one it tells them how the embedded
    server is entered.
    """
    router = APIRouter(include_in_schema=False)
    contents = {path.name: path.read_bytes() for path in sorted(_FOLDER.iterdir()) if path.suffix in _TYPES}
    template = Template(contents.pop(_DOCUMENT).decode())
    version = _fingerprint(contents)
    text = template.substitute(assets=f"page/{version}", sign_in_url=escape(sign_in_url))
    document = _File(text.encode(), _TYPES[".html"], _DOCUMENT_HEADERS)
    assets = {name: _File(data, _TYPES[Path(name).suffix], _ASSET_HEADERS) for name, data in contents.items()}

    @router.get("/")
    async def get_document(request: Request) -> Response:
        return document.answer(request)

    # Modules name each other by relative addresses, so all of them move when one of them changes.
    @router.get(f"/page/{version}/{{name}}")
    async def get_asset(request: Request, name: str) -> Response:
        if name not in assets:
            raise HTTPException(404)
        return assets[name].answer(request)

    return router


def _fingerprint(contents: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, content in contents.items():
        digest.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
    return digest.hexdigest()[:16]
