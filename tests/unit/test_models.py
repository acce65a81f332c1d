"""The tables keep the rules that every database of ours relies on, and values keep theirs."""

from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy import ForeignKeyConstraint, UniqueConstraint
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateTable
from sqlmodel import Field, SQLModel

from hansard.models import Conversation, ConversationCreate, MessageCreate, Task, TaskCreate, User, metadata
from hansard.models.base import NaiveUtcDateTime, UtcDateTime
from hansard.utils.clock import UTC, utc_now
from tests.support.items import user_says

PHASE_2 = {"user", "task"}
OURS = sorted(set(metadata.tables) - PHASE_2)
EAST = timezone(timedelta(hours=9))
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("name", OURS)
class TestATableOfOurs:
    def test_names_the_user_first_in_its_primary_key(self, name):
        assert next(iter(metadata.tables[name].primary_key)).name == "user_id"

    def test_names_the_user_in_everything_that_is_unique(self, name):
        table = metadata.tables[name]
        unique = [index.columns for index in table.indexes if index.unique]
        unique += [one.columns for one in table.constraints if isinstance(one, UniqueConstraint)]
        assert all(next(iter(columns)).name == "user_id" for columns in unique)

    def test_names_the_user_in_every_foreign_key(self, name):
        keys = [one for one in metadata.tables[name].constraints if isinstance(one, ForeignKeyConstraint)]
        assert keys
        assert all(key.columns[0].name == "user_id" for key in keys)
        assert {key.ondelete for key in keys} <= {None, "CASCADE"}

    def test_has_a_name_for_every_constraint_and_index(self, name):
        table = metadata.tables[name]
        assert all(isinstance(constraint.name, str) for constraint in table.constraints)
        assert all(isinstance(index.name, str) for index in table.indexes)

    def test_lets_the_application_make_every_value(self, name):
        assert all(column.server_default is None and not column.identity for column in metadata.tables[name].columns)

    @pytest.mark.parametrize("dialect", [postgresql.dialect(), sqlite.dialect()], ids=["postgresql", "sqlite"])
    def test_can_be_made_on_every_database(self, name, dialect):
        assert str(CreateTable(metadata.tables[name]).compile(dialect=dialect)).strip().startswith("CREATE TABLE")


def test_the_tables_of_phase_2_are_what_its_backend_made():
    shapes = {
        table.name: {column.name: (str(column.type), column.nullable) for column in table.columns}
        for table in (metadata.tables["user"], metadata.tables["task"])
    }
    assert shapes == {
        "user": {
            "id": ("VARCHAR", False),
            "email": ("VARCHAR", True),
            "name": ("VARCHAR", True),
            "hashed_password": ("VARCHAR", True),
            "created_at": ("DATETIME", False),
            "updated_at": ("DATETIME", True),
        },
        "task": {
            "id": ("INTEGER", False),
            "user_id": ("VARCHAR", False),
            "title": ("VARCHAR(200)", False),
            "description": ("VARCHAR(1000)", True),
            "completed": ("BOOLEAN", False),
            "created_at": ("DATETIME", False),
            "updated_at": ("DATETIME", False),
        },
    }
    naive = CreateTable(metadata.tables["task"]).compile(dialect=postgresql.dialect())
    assert "created_at TIMESTAMP WITHOUT TIME ZONE NOT NULL" in str(naive)


def test_our_tables_stand_beside_those_of_the_application_that_imports_us():
    class Person(SQLModel, table=True):
        __tablename__ = "user"
        id: int | None = Field(default=None, primary_key=True)

    assert SQLModel.metadata.tables["user"] is not metadata.tables["user"]
    assert set(SQLModel.metadata.tables) == {"user"}
    assert {User.__tablename__, Task.__tablename__, Conversation.__tablename__} <= set(metadata.tables)
    SQLModel.metadata.remove(Person.__table__)  # type: ignore[attr-defined] # SQLModel sets it


@pytest.mark.parametrize("kind", [UtcDateTime(), NaiveUtcDateTime()], ids=["aware", "naive"])
@pytest.mark.parametrize("dialect", [postgresql.dialect(), sqlite.dialect()], ids=["postgresql", "sqlite"])
class TestInstants:
    def test_are_stored_in_utc_wherever_they_come_from(self, kind, dialect):
        stored = [kind.process_bind_param(one, dialect) for one in (NOON, NOON.astimezone(EAST))]
        assert stored[0] == stored[1]
        assert stored[0].replace(tzinfo=UTC) == NOON

    def test_come_back_aware_and_in_utc(self, kind, dialect):
        for stored in (NOON, NOON.astimezone(EAST), NOON.replace(tzinfo=None)):
            found = kind.process_result_value(stored, dialect)
            assert (found, found.tzinfo) == (NOON, UTC)

    def test_are_refused_without_a_time_zone(self, kind, dialect):
        with pytest.raises(ValueError, match="time zone"):
            kind.process_bind_param(NOON.replace(tzinfo=None), dialect)

    def test_may_be_missing(self, kind, dialect):
        assert kind.process_bind_param(None, dialect) is None
        assert kind.process_result_value(None, dialect) is None


def test_the_clock_tells_aware_utc():
    before = datetime.now(timezone.utc)
    assert before <= utc_now() <= datetime.now(timezone.utc)
    assert utc_now().utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "value", [ConversationCreate(), MessageCreate(user_says("Hi")), TaskCreate("x")], ids=lambda one: type(one).__name__
)
def test_a_checked_value_cannot_be_changed_past_its_checks(value):
    name = next(iter(value.__dataclass_fields__))
    with pytest.raises(AttributeError):
        setattr(value, name, "changed")
