"""Define the tables of Phase 2, exactly as the old backend made them.

Types, nullability and names stay what SQLModel's ``create_all`` produced; constraint names are PostgreSQL's
own defaults. Only ``user.email`` may be null where Hansard makes the table: a provisioned user may have none.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypeAlias

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    UniqueConstraint,
)
from sqlmodel import Field

from hansard.models.base import HansardModel, NaiveUtcDateTime
from hansard.models.limits import TASK_DESCRIPTION_CODE_POINTS, TASK_TITLE_CODE_POINTS, check_text

TaskId: TypeAlias = int | str


class User(HansardModel, table=True):
    """Describe a row of ``user``: a person the auth provider knows."""

    __tablename__ = "user"
    __table_args__ = (PrimaryKeyConstraint("id", name="user_pkey"), UniqueConstraint("email", name="user_email_key"))

    id: str = Field(sa_column=Column(String, nullable=False))
    email: str | None = Field(default=None, sa_column=Column(String))
    name: str | None = Field(default=None, sa_column=Column(String))
    hashed_password: str | None = Field(default=None, sa_column=Column(String))
    created_at: datetime = Field(sa_column=Column(NaiveUtcDateTime, nullable=False))
    updated_at: datetime | None = Field(default=None, sa_column=Column(NaiveUtcDateTime))


class Task(HansardModel, table=True):
    """Describe a row of ``task``: one thing a user wants done."""

    __tablename__ = "task"
    __table_args__ = (
        PrimaryKeyConstraint("id", name="task_pkey"),
        ForeignKeyConstraint(["user_id"], ["user.id"], name="task_user_id_fkey"),
        Index("ix_task_user_id", "user_id"),
    )

    id: int | None = Field(default=None, sa_column=Column(Integer, autoincrement=True))
    user_id: str = Field(sa_column=Column(String, nullable=False))
    title: str = Field(sa_column=Column(String(TASK_TITLE_CODE_POINTS), nullable=False))
    description: str | None = Field(default=None, sa_column=Column(String(TASK_DESCRIPTION_CODE_POINTS)))
    completed: bool = Field(default=False, sa_column=Column(Boolean, nullable=False))
    created_at: datetime = Field(sa_column=Column(NaiveUtcDateTime, nullable=False))
    updated_at: datetime = Field(sa_column=Column(NaiveUtcDateTime, nullable=False))


@dataclass(frozen=True, slots=True)
class TaskCreate:
    """Describe a task to make: a title of 1 to 200 characters, a description of at most 1000."""

    title: str
    description: str | None = None

    def __post_init__(self) -> None:
        """Check lengths and characters; raises `InvalidInput`."""
        check_task_title(self.title)
        check_task_description(self.description)


class TaskRead(NamedTuple):
    """Hold a stored task; times are aware UTC."""

    id: TaskId
    title: str
    description: str | None
    completed: bool
    created_at: datetime
    updated_at: datetime


def check_task_title(value: object) -> str:
    """Return a task's title: 1 to 200 characters, storable."""
    return check_text(value, param="title", longest=TASK_TITLE_CODE_POINTS, shortest=1)


def check_task_description(value: object) -> str | None:
    """Return a task's description: ``None`` or at most 1000 characters, storable."""
    if value is None:
        return None
    return check_text(value, param="description", longest=TASK_DESCRIPTION_CODE_POINTS)
