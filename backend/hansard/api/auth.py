"""Find out who asks: a bearer token, or, in single-user mode, the page's own cookie."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final, NamedTuple, Protocol

import jwt
from fastapi import Request

from hansard.api.errors import ApiError
from hansard.api.known_tokens import KnownTokens
from hansard.errors import ConfigurationError, InvalidInput
from hansard.models.limits import check_user_id, storable
from hansard.utils.clock import Clock, utc_now

ALGORITHM: Final = "HS256"
SECRET_BYTES: Final = 32
_EMAIL_CODE_POINTS: Final = 320
_MISSING = "You did not provide an API key. Send it as 'Authorization: Bearer YOUR_KEY'."
INVALID: Final = "The API key is not valid."
EXPIRED: Final = "The API key has expired."


class Identity(NamedTuple):
    """Say who asks; the e-mail is for the row of a user who writes for the first time."""

    user_id: str
    email: str | None = None


class Verifier(Protocol):
    """Tell whose token it is."""

    async def identity(self, token: str) -> Identity:
        """Return who a valid token stands for; raises `ApiError` 401 for any other."""


class SessionReader(Protocol):
    """Tell whose session a request belongs to when it carries no token."""

    async def identity(self, request: Request) -> Identity | None:
        """Return who asks, or ``None`` when the request has no session that counts."""


class Hs256Verifier:
    """Verify tokens signed with a shared secret of at least 32 bytes (HMAC-SHA256, nothing else).

    ``only_user`` refuses everybody else's tokens. Raises `ConfigurationError` for a short secret.
    """

    def __init__(self, secret: bytes, *, only_user: str | None = None) -> None:
        self._secret = check_secret(secret)
        self._only_user = only_user
        self._known = KnownTokens[Identity]()

    async def identity(self, token: str) -> Identity:
        """Return the ``sub`` and ``email`` of a token that is signed by us and has not expired."""
        known = self._known.find(token)
        if known is not None:
            return known
        try:
            claims = jwt.decode(token, self._secret, algorithms=[ALGORITHM], options={"require": ["exp", "sub"]})
            found, expires = read_claims(claims), float(claims["exp"])
        except jwt.ExpiredSignatureError:
            raise unauthenticated(EXPIRED) from None
        except (jwt.PyJWTError, InvalidInput, ValueError, ArithmeticError, RecursionError):
            raise unauthenticated(INVALID) from None
        if self._only_user is not None and found.user_id != self._only_user:
            raise unauthenticated(INVALID)
        self._known.keep(token, found, expires=expires)
        return found


class Authenticator:
    """Name the user of a request, or refuse it with 401.

    A bearer token rules where one is sent; a session is asked only where none is.
    """

    def __init__(self, verifier: Verifier, sessions: SessionReader | None = None) -> None:
        self._verifier = verifier
        self._sessions = sessions

    async def identity(self, request: Request) -> Identity:
        """Return who asks; raises `ApiError` 401."""
        header = next((value for name, value in request.scope["headers"] if name == b"authorization"), None)
        if header is not None:
            scheme, _, token = header.decode("latin-1").partition(" ")
            if scheme.lower() != "bearer" or not token:
                raise unauthenticated(INVALID)
            return await self._verifier.identity(token.strip())
        identity = await self._sessions.identity(request) if self._sessions else None
        if identity is None:
            raise unauthenticated(_MISSING)
        return identity


def issue_token(secret: bytes, user_id: str, *, ttl: timedelta, clock: Clock = utc_now) -> str:
    """Return a token that `Hs256Verifier` accepts until ``ttl`` has passed."""
    now = clock()
    claims = {"sub": check_user_id(user_id), "iat": now, "exp": now + ttl}
    return jwt.encode(claims, check_secret(secret), algorithm=ALGORITHM)


def check_secret(secret: bytes) -> bytes:
    """Return a secret that is long enough; raises `ConfigurationError`."""
    if len(secret) < SECRET_BYTES:
        raise ConfigurationError(
            f"JWT_SECRET_KEY has {len(secret)} bytes; {SECRET_BYTES} are the least. "
            "Make one: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"
        )
    return secret


def unauthenticated(message: str) -> ApiError:
    """Return the error for a request whose sender nobody knows."""
    challenge = "Bearer" if message == _MISSING else 'Bearer error="invalid_token"'
    return ApiError(message, status=401, code="invalid_api_key", headers={"www-authenticate": challenge})


def read_claims(claims: Mapping[str, object]) -> Identity:
    """Return who verified claims stand for; raises `InvalidInput` for a ``sub`` that cannot be a user's id."""
    return Identity(check_user_id(claims.get("sub")), _email(claims.get("email")))


def _email(claim: object) -> str | None:
    return claim if isinstance(claim, str) and 0 < len(claim) <= _EMAIL_CODE_POINTS and storable(claim) else None
