"""Learn whether work that was cancelled had written something all the same.

A cancelled write is done or undone, but its caller only hears of the cancellation. Whoever cancels watches; whoever
writes testifies.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Witness:
    """Hold what was seen: whether anything was ``done`` for good, and whether of something nobody knows."""

    __slots__ = ("done", "in_doubt")

    def __init__(self) -> None:
        self.done = False
        self.in_doubt = False


_witness: ContextVar[Witness | None] = ContextVar("hansard_witness", default=None)


@contextmanager
def watching(witness: Witness | None) -> Iterator[None]:
    """Let this witness, or nobody, see what is written inside."""
    token = _witness.set(witness)
    try:
        yield
    finally:
        _witness.reset(token)


def testify(*, done: bool | None) -> None:
    """Tell how a write ended: done, undone, or ``None`` for a commit of which nobody knows."""
    witness = _witness.get()
    if witness is not None:
        witness.done |= done is True
        witness.in_doubt |= done is None
