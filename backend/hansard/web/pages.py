"""Serve the files of the page, each by its own route and with a strict content security policy."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import APIRouter, Response

router = APIRouter(include_in_schema=False)

_STATIC: Final = Path(__file__).parent / "static"
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
_INDEX: Final = (_STATIC / "index.html").read_bytes()
_SIGN_IN: Final = (_STATIC / "sign_in.js").read_bytes()


@router.get("/")
async def get_index() -> Response:
    """Return the page."""
    return Response(_INDEX, media_type="text/html", headers={"content-security-policy": _POLICY})


@router.get("/sign_in.js")
async def get_sign_in() -> Response:
    """Return the script that trades the code in the address for a cookie."""
    return Response(_SIGN_IN, media_type="text/javascript")
