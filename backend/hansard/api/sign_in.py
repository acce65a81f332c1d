"""Let the one user of an embedded server in: a code for the browser, then a cookie.

The browser never sees the API key. It trades a code, good once and for five minutes, for a cookie that no script
can read and that counts only for requests of our own page.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as BadBase64
from datetime import timedelta
from pathlib import Path
from typing import Final

from fastapi import Request

from hansard.api.auth import Hs256Verifier, Identity, issue_token, unauthenticated
from hansard.api.errors import ApiError
from hansard.api.local_secret import LocalSecret
from hansard.utils.clock import Clock, utc_now

LOCAL_USER: Final = "local"
CODE_TTL: Final = timedelta(minutes=5)
SESSION_TTL: Final = timedelta(days=30)
CSRF_HEADER: Final = "x-hansard-csrf"
_NONCE_BYTES: Final = 16
_EXPIRY_BYTES: Final = 8
_SAFE_METHODS: Final = frozenset({"GET", "HEAD"})


class LoginCodes:
    """Make and redeem the codes of login URLs.

    A code carries its own expiry and signature, so any process with the secret can make one. Redeeming it leaves
    an empty file named after it, which only one process can create, also after a restart.
    """

    def __init__(self, key: bytes, used: Path, *, clock: Clock = utc_now) -> None:
        self._key = key
        self._used = used
        self._clock = clock

    def issue(self) -> str:
        """Return a code that is good once, for five minutes."""
        expiry = int((self._clock() + CODE_TTL).timestamp())
        body = secrets.token_bytes(_NONCE_BYTES) + expiry.to_bytes(_EXPIRY_BYTES, "big")
        return urlsafe_b64encode(body + self._tag(body)).rstrip(b"=").decode()

    def redeem(self, code: str) -> bool:
        """Say whether the code is ours, still good and not used before; from now on it is used."""
        try:
            raw = urlsafe_b64decode(code.encode("ascii") + b"=" * (-len(code) % 4))
        except (BadBase64, UnicodeEncodeError):
            return False
        body, tag = raw[: _NONCE_BYTES + _EXPIRY_BYTES], raw[_NONCE_BYTES + _EXPIRY_BYTES :]
        if not hmac.compare_digest(tag, self._tag(body)):
            return False
        now, expiry = int(self._clock().timestamp()), int.from_bytes(body[_NONCE_BYTES:], "big")
        return now < expiry and self._mark(f"{expiry}-{body.hex()}", now)

    def _mark(self, name: str, now: int) -> bool:
        self._used.mkdir(mode=0o700, parents=True, exist_ok=True)
        for mark in self._used.iterdir():
            if int(mark.name.partition("-")[0]) < now:
                mark.unlink(missing_ok=True)
        try:
            (self._used / name).touch(mode=0o600, exist_ok=False)
        except FileExistsError:
            return False
        return True

    def _tag(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, "sha256")


class LocalSessions:
    """Sign the local user in by code and recognise the cookie afterwards."""

    def __init__(self, secret: LocalSecret, *, clock: Clock = utc_now) -> None:
        used = secret.path.with_name(f"{secret.path.name}.used")
        self.codes = LoginCodes(secret.derive("login code"), used, clock=clock)
        self._key = secret.derive("session")
        self._verifier = Hs256Verifier(self._key, only_user=LOCAL_USER)
        # Cookies know no ports: two servers on one machine must not overwrite each other's.
        self.cookie = f"hansard_{secret.derive('cookie name').hex()[:8]}"

    async def redeem(self, code: str) -> str:
        """Return the cookie's value for a good code; raises `ApiError` 401."""
        if not await asyncio.to_thread(self.codes.redeem, code):
            raise unauthenticated("The code was used already, has expired or is not one of ours.")
        return issue_token(self._key, LOCAL_USER, ttl=SESSION_TTL)

    async def identity(self, request: Request) -> Identity | None:
        """Return the local user when the request carries our cookie and comes from our own page."""
        token = request.cookies.get(self.cookie)
        if token is None or not from_our_page(request):
            return None
        try:
            return await self._verifier.identity(token)
        except ApiError:
            return None


def from_our_page(request: Request) -> bool:
    """Say whether a request was made by a page of this very origin.

    The cookie's SameSite rule is not enough: to a browser every port of this machine is the same site. A custom
    header cannot cross origins unasked; reading without it needs the browser's word.
    """
    headers = request.headers
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    # Behind a proxy only the browser knows whether it spoke TLS.
    ours = {f"{scheme}://{headers.get('host')}" for scheme in ("http", "https")}
    if site not in {None, "same-origin"} or (origin is not None and origin not in ours):
        return False
    return headers.get(CSRF_HEADER) == "1" or (request.method in _SAFE_METHODS and site == "same-origin")
