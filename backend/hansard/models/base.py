"""Share what all tables have in common: their own metadata, names for constraints, column types."""

# No `from __future__ import annotations` in this package: SQLModel reads the annotations at run time.
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import DateTime, Dialect, MetaData
from sqlalchemy.orm import registry
from sqlalchemy.types import TypeDecorator, TypeEngine
from sqlmodel import SQLModel

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class HansardModel(SQLModel, registry=registry(metadata=MetaData(naming_convention=NAMING))):
    """Be the base of our tables.

    A registry and metadata of their own keep them apart from the tables of the application that imports us,
    which may well have a ``User`` too.
    """


metadata = HansardModel.metadata


class UtcDateTime(TypeDecorator[datetime]):
    """Store an aware instant, and give it back in UTC whatever time zone the connection has."""

    impl = DateTime(timezone=True)
    cache_ok = True
    aware = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the plain type; SQLite keeps sortable text, PostgreSQL a timestamp."""
        return dialect.type_descriptor(DateTime(timezone=self.aware))

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None] | None:
        """Return the shortest way there is: none where the connection gives UTC by itself. Every row goes it."""
        if self.aware and getattr(dialect, "gives_utc", False):
            return None
        if self.aware and dialect.name == "sqlite":
            return _from_text
        return super().result_processor(dialect, coltype)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn an aware instant into what the column holds."""
        if value is None:
            return None
        if value.tzinfo is None:
            message = "a timestamp must carry a time zone"
            raise ValueError(message)
        value = value.astimezone(timezone.utc)
        return value if self.aware and dialect.name != "sqlite" else value.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the instant in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)


def _from_text(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value + "+00:00")


class NaiveUtcDateTime(UtcDateTime):
    """Store UTC in a column without time zone, as the tables of Phase 2 do."""

    cache_ok = True
    aware = False
