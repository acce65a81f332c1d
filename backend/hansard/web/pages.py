"""Serve the files of the page: the document with a strict content security policy, the rest to be kept for ever."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Final

from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException

_FOLDER: Final = Path(__file__).parent / "static"
_DOCUMENT: Final = "index.html"
_TYPES: Final = {".css": "text/css", ".js": "text/javascript"}
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


def page_router(*, sign_in_url: str = "") -> APIRouter:
    """Return the routes of the page.

    ``sign_in_url`` is where the page sends people whose session has ended; without one it tells them how the embedded
    server is entered.
    """
    router = APIRouter(include_in_schema=False)
    assets = {path.name: path.read_bytes() for path in sorted(_FOLDER.iterdir()) if path.suffix in _TYPES}
    version = _fingerprint(assets)
    document = _document(version, sign_in_url=sign_in_url)

    @router.get("/")
    async def get_document() -> Response:
        return Response(document, media_type="text/html", headers=_DOCUMENT_HEADERS)

    # Modules name each other by relative addresses, so all of them move when one of them changes.
    @router.get(f"/page/{version}/{{name}}")
    async def get_asset(name: str) -> Response:
        if name not in assets:
            raise HTTPException(404)
        return Response(assets[name], media_type=_TYPES[Path(name).suffix], headers=_ASSET_HEADERS)

    return router


def _document(version: str, *, sign_in_url: str) -> str:
    template = Template((_FOLDER / _DOCUMENT).read_text("utf-8"))
    return template.substitute(assets=f"/page/{version}", sign_in_url=escape(sign_in_url))


def _fingerprint(assets: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, content in assets.items():
        digest.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
    return digest.hexdigest()[:16]
