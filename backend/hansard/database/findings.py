"""Say what the doctor found, how bad it is, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple


class Grade(IntEnum):
    """Order findings by how bad they are; the worst one is the exit code."""

    OK = 0
    WARNING = 1
    FAILURE = 2


class Finding(NamedTuple):
    """Hold one thing that was looked at; ``advice`` is one line, for whatever is not `Grade.OK`."""

    check: str
    grade: Grade
    told: str
    advice: str | None = None


def worst(findings: Iterable[Finding]) -> Grade:
    """Return the worst grade of all."""
    return max((finding.grade for finding in findings), default=Grade.OK)
