"""Verify tokens that an identity provider signs with a private key, by the public keys it publishes (RFC 7517).

What a token says about itself decides nothing but which published key is tried: the algorithm follows from the
key, and ``jku``, ``x5u`` and ``jwk`` headers are never looked at.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import jwt

from hansard.api.auth import EXPIRED, INVALID, Identity, read_claims, unauthenticated
from hansard.api.errors import ApiError
from hansard.api.known_tokens import KnownTokens
from hansard.errors import ConfigurationError, InvalidInput

FRESH_SECONDS: Final = 600.0
STALE_SECONDS: Final = 3600.0
REFETCH_SECONDS: Final = 60.0
# Of each step, and of all: whoever answers a byte at a time is not waited for.
FETCH_SECONDS: Final = 5.0
RENEWAL_SECONDS: Final = 15.0
LEEWAY_SECONDS: Final = 5.0
_MOST_BYTES: Final = 256 * 1024
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
# The one algorithm that goes with each type of key.
_ALGORITHMS: Final[Mapping[tuple[str | None, str | None], str]] = {
    ("OKP", "Ed25519"): "EdDSA",
    ("EC", "P-256"): "ES256",
    ("RSA", None): "RS256",
}
_RSA_BITS: Final = 2048


@dataclass(frozen=True, slots=True)
class Provider:
    """Say whose tokens count: where the keys are, and what ``iss`` and ``aud`` must be."""

    url: str
    issuer: str
    audience: str

    def __post_init__(self) -> None:
        """Refuse keys that somebody on the way could replace; raises `ConfigurationError`."""
        try:
            parts = urlsplit(self.url)
        except ValueError as error:
            raise ConfigurationError("HANSARD_JWKS_URL is no URL") from error
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise ConfigurationError("HANSARD_JWKS_URL must begin with https:// (http:// only on this machine)")
        if not self.issuer or not self.audience:
            raise ConfigurationError(
                "HANSARD_JWKS_URL needs HANSARD_JWT_ISSUER and HANSARD_JWT_AUDIENCE: "
                "a provider signs tokens for others too"
            )


@dataclass(frozen=True, slots=True)
class _Key:
    algorithm: str
    key: Any


class KeySet:
    """Hold the provider's keys: fresh for ten minutes, and for an hour where it cannot be reached.

    An unknown key id asks the provider again, at most once a minute, so that strangers' tokens cannot make us a
    nuisance to it.
    """

    def __init__(self, url: str, *, now: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._now = now
        self._keys: dict[str | None, _Key] = {}
        self._fetched = self._tried = float("-inf")
        self._renewal: asyncio.Task[None] | None = None

    async def find(self, key_id: str | None) -> _Key | None:
        """Return the key with this id; raises `ApiError` 503 when no keys can be had."""
        if key_id not in self._keys or self._age() > FRESH_SECONDS:
            await self._refresh()
        if self._age() > STALE_SECONDS:
            raise ApiError("The keys that tokens are verified with cannot be had.", status=503, code="keys_unavailable")
        return self._keys.get(key_id)

    @property
    def fresh(self) -> object | None:
        """Return the keys as long as nothing is to be asked, always the same object; else ``None``."""
        return self._keys if self._age() <= FRESH_SECONDS else None

    def _age(self) -> float:
        return self._now() - self._fetched

    async def _refresh(self) -> None:
        if self._renewal is None and self._now() - self._tried >= REFETCH_SECONDS:
            self._tried = self._now()
            self._renewal = asyncio.create_task(self._renew())
        if self._renewal is not None:
            # A request that takes too long is stopped; what it began here is for all the others, too.
            await asyncio.shield(self._renewal)

    async def _renew(self) -> None:
        try:
            self._keys = _read_keys(await asyncio.wait_for(self._fetch(), RENEWAL_SECONDS))
            self._fetched = self._tried
        except (httpx.HTTPError, asyncio.TimeoutError, ValueError, RecursionError):
            pass  # the old keys serve on, until they are stale
        finally:
            self._renewal = None

    async def _fetch(self) -> bytes:
        # No proxies or credentials from the environment, and no redirects: the keys come from this address alone.
        async with (
            httpx.AsyncClient(timeout=FETCH_SECONDS, follow_redirects=False, trust_env=False) as client,
            client.stream("GET", self._url, headers={"accept": "application/json"}) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                raise ValueError("the provider did not answer with keys")
            body = bytearray()
            async for piece in answer.aiter_bytes():
                body += piece
                if len(body) > _MOST_BYTES:
                    raise ValueError("the provider's answer is too long for a set of keys")
            return bytes(body)


class JwksVerifier:
    """Verify tokens by a provider's published keys: EdDSA (Ed25519), ES256 and RS256 (2048 bits or more)."""

    def __init__(self, provider: Provider, keys: KeySet | None = None) -> None:
        self._provider = provider
        self._keys = keys or KeySet(provider.url)
        self._known = KnownTokens[Identity]()

    async def identity(self, token: str) -> Identity:
        """Return the ``sub`` and ``email`` of a token of this provider, for us, that has not expired."""
        fresh = self._keys.fresh
        known = None if fresh is None else self._known.find(token, keys=fresh)
        if known is not None:
            return known
        try:
            key_id = jwt.get_unverified_header(token).get("kid")
            key = await self._keys.find(key_id)
            # Taken before anything else can be waited for, so these are the keys that the key is one of.
            fresh = self._keys.fresh
            if key is None:
                raise unauthenticated(INVALID)
            claims = self._decode(token, key)
            found, expires = read_claims(claims), float(claims["exp"])
        except jwt.ExpiredSignatureError:
            raise unauthenticated(EXPIRED) from None
        except (jwt.PyJWTError, InvalidInput, ValueError, TypeError, ArithmeticError, RecursionError):
            raise unauthenticated(INVALID) from None
        if fresh is not None:
            self._known.keep(token, found, expires=expires, keys=fresh)
        return found

    def _decode(self, token: str, key: _Key) -> dict[str, Any]:
        return jwt.decode(
            token,
            key.key,
            algorithms=[key.algorithm],
            issuer=self._provider.issuer,
            audience=self._provider.audience,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "sub", "iss", "aud"]},
        )


def _read_keys(body: bytes) -> dict[str | None, _Key]:
    found = json.loads(body)
    listed = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(listed, list):
        raise ValueError("the provider's answer is no set of keys")  # noqa: TRY004 - a document, not an argument
    keys: dict[str | None, _Key] = {}
    for entry in listed:
        key = _read_key(entry)
        if key is not None:
            keys[entry.get("kid")] = key
    return keys


def _read_key(entry: object) -> _Key | None:
    """Return a key that may verify tokens, or ``None`` for every other entry of the set."""
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    if not all(isinstance(entry.get(name), str | None) for name in ("kty", "crv", "kid")):
        return None
    algorithm = _ALGORITHMS.get((entry.get("kty"), entry.get("crv")))
    if algorithm is None or entry.get("alg", algorithm) != algorithm:
        return None
    try:
        key = jwt.PyJWK(entry, algorithm=algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    if algorithm == "RS256" and key.key_size < _RSA_BITS:
        return None
    return _Key(algorithm, key)
