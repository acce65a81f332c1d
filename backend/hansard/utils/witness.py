"""Learn whether work that was cancelled had written something all the same.

A cancelled write is done or undone, but its caller only hears of the cancellation. Whoever cancels watches; whoever
writes testifies.
"""

from __future__ import annotations

from contextvars import ContextVar


class Witness:
    """Hold what was seen: whether anything was ``done`` for good, and whether of something nobody knows."""

    __slots__ = ("done", "in_doubt")

    def __init__(self) -> None:
        self.done = False
        self.in_doubt = False


_witness: ContextVar[Witness | None] = ContextVar("hansard_witness", default=None)


class watching:  # noqa: N801 - it is entered, like a function of contextlib, and costs every request less
    """Let this witness, or nobody, see what is written inside."""

    __slots__ = ("_token", "_witness")

    def __init__(self, witness: Witness | None) -> None:
        self._witness = witness

    def __enter__(self) -> None:
        self._token = _witness.set(self._witness)

    def __exit__(self, *_: object) -> None:
        _witness.reset(self._token)


def testify(*, done: bool | None) -> None:
    """Tell how a write ended: done, undone, or ``None`` for a commit of which nobody knows."""
    witness = _witness.get()
    if witness is not None:
        witness.done |= done is True
        witness.in_doubt |= done is None
