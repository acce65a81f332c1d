"""Name what a person can want from the offline assistant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Selection: TypeAlias = Literal["open", "done", "all"]


@dataclass(frozen=True, slots=True)
class Add:
    """Put a task on the list; without a title the assistant asks for it."""

    title: str


@dataclass(frozen=True, slots=True)
class Show:
    """See tasks."""

    selection: Selection


@dataclass(frozen=True, slots=True)
class More:
    """See the tasks after those shown last."""


@dataclass(frozen=True, slots=True)
class Complete:
    """Mark a task as done; ``target`` is the person's words for it, here and below."""

    target: str


@dataclass(frozen=True, slots=True)
class Reopen:
    """Mark a task as not done."""

    target: str


@dataclass(frozen=True, slots=True)
class Delete:
    """Take a task off the list for good."""

    target: str


@dataclass(frozen=True, slots=True)
class Rename:
    """Give a task another title.

    "Rename go to work to go to sleep" can be cut at more than one "to", so ``readings`` has every way to read it as
    (target, title): the longest target first, because fewer tasks fit it by chance.
    """

    readings: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Courtesy:
    """Be thanked."""


@dataclass(frozen=True, slots=True)
class Help:
    """Want to know what can be said; ``asked`` is false when nothing was understood."""

    asked: bool


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Send something without text: nothing, or only images."""


Intent: TypeAlias = Add | Show | More | Complete | Reopen | Delete | Rename | Courtesy | Help | Unreadable
