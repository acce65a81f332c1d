"""Remember for a minute whose a verified token is: clients send the same one with every request."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeAlias, TypeVar

SECONDS: Final = 60.0
MOST: Final = 4096
_Digest: TypeAlias = bytes
Owner = TypeVar("Owner")


@dataclass(frozen=True, slots=True)
class _Known(Generic[Owner]):
    owner: Owner
    until: float
    keys: object


class KnownTokens(Generic[Owner]):
    """Hold tokens that were verified, by their digests, so that none can be read from memory or from a dump.

    A token is known until it expires, for a minute at most, and only while the keys are the very ones it was verified
    with: to verify it again could come to nothing else. One that was refused is never held.
    """

    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._known: OrderedDict[_Digest, _Known[Owner]] = OrderedDict()

    def find(self, token: str, *, keys: object = None) -> Owner | None:
        """Return whose token it is, when that is known."""
        digest = _digest(token)
        known = self._known.get(digest)
        if known is None:
            return None
        if known.keys is not keys or known.until <= self._now():
            del self._known[digest]
            return None
        return known.owner

    def keep(self, token: str, owner: Owner, *, expires: float, keys: object = None) -> None:
        """Hold a token that was just verified with these keys and is good until ``expires`` (seconds since 1970)."""
        while len(self._known) >= MOST:
            self._known.popitem(last=False)
        self._known[_digest(token)] = _Known(owner, min(expires, self._now() + SECONDS), keys)


def _digest(token: str) -> _Digest:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
