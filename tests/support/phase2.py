"""Be the old backend: make its database as it did, and ask it what it asked.

The tables come from `SQLModel.metadata.create_all` and the queries from SQLModel's session, so they are what the old
code emits and not what we believe it does.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Column, DateTime, Engine, NullPool, String, create_engine, event, text
from sqlalchemy.orm import registry
from sqlmodel import Field, Session, SQLModel, select

from tests.support.observers import Observer, PostgresObserver

WHEN = datetime(2025, 3, 4, 5, 6, 7, 890123)  # noqa: DTZ001 - naive, as the old backend writes its times
ADA, BOB = "ada", "5f0b6c1e-3c56-4f10-9d1b-aa0c8e0d5a11"


@dataclass(frozen=True)
class Installation:
    """Describe one of the forms in which the old backend's database is met."""

    name: str
    text_ids: bool = False
    optional_columns: bool = True
    changes: Sequence[str] = ()
    rows: Sequence[str] = ()
    only_postgres: bool = False

    def __str__(self) -> str:
        return self.name


INSTALLATIONS = [
    Installation("as the old backend made it"),
    Installation("with text ids in task", text_ids=True),
    Installation("without the optional columns", optional_columns=False),
    Installation(
        "with columns that nobody here knows",
        changes=[
            "ALTER TABLE task ADD COLUMN priority INTEGER NOT NULL DEFAULT 3",
            "ALTER TABLE task ADD COLUMN due_date TIMESTAMP",
            'ALTER TABLE "user" ADD COLUMN "emailVerified" BOOLEAN NOT NULL DEFAULT false',
            'ALTER TABLE "user" ADD COLUMN image VARCHAR',
        ],
        rows=["UPDATE task SET priority = 7", "UPDATE \"user\" SET image = 'https://example.com/\u2603.png'"],
    ),
    Installation(
        "with further tables and somebody else's alembic_version",
        changes=[
            'CREATE TABLE session (id VARCHAR PRIMARY KEY, "userId" VARCHAR NOT NULL REFERENCES "user" (id))',
            'CREATE TABLE account (id VARCHAR PRIMARY KEY, "userId" VARCHAR NOT NULL REFERENCES "user" (id))',
            "CREATE TABLE verification (id VARCHAR PRIMARY KEY, value VARCHAR NOT NULL)",
            "CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)",
        ],
        rows=[
            f"INSERT INTO session VALUES ('s', '{BOB}')",
            "INSERT INTO verification VALUES ('v', 'secret')",
            "INSERT INTO alembic_version VALUES ('0002')",
        ],
    ),
    Installation(
        "with times that carry a zone",
        only_postgres=True,
        changes=[
            "ALTER TABLE task ALTER created_at TYPE timestamptz, ALTER updated_at TYPE timestamptz",
            'ALTER TABLE "user" ALTER created_at TYPE timestamptz',
        ],
    ),
    Installation("with large numbers for ids", only_postgres=True, changes=["ALTER TABLE task ALTER id TYPE bigint"]),
    Installation(
        "with a user named by a unique index, not a key",
        only_postgres=True,
        changes=[
            'ALTER TABLE task DROP CONSTRAINT "task_user_id_fkey"',
            'ALTER TABLE "user" DROP CONSTRAINT "user_pkey"',
            'CREATE UNIQUE INDEX by_id ON "user" (id)',
            'ALTER TABLE task ADD CONSTRAINT owner FOREIGN KEY (user_id) REFERENCES "user" (id)',
        ],
    ),
    Installation(
        "with row-level security of its own",
        only_postgres=True,
        changes=[
            "ALTER TABLE task ENABLE ROW LEVEL SECURITY",
            "CREATE POLICY theirs ON task USING (user_id = 'ada') WITH CHECK (user_id = 'ada')",
        ],
    ),
]


@dataclass
class OldBackend:
    """Run the old backend's own queries as one login."""

    url: str
    installation: Installation
    user: Any = field(init=False)
    task: Any = field(init=False)

    def __post_init__(self) -> None:
        self.user, self.task = _models(self.installation)

    def make(self) -> None:
        """Make the tables as this installation has them, with rows."""
        with _engine(self.url) as engine:
            self.user.metadata.create_all(engine)
            with engine.begin() as connection:
                for change in self.installation.changes:
                    connection.execute(text(change))
            with Session(engine) as session:
                session.add_all([self._new_user(ADA), self._new_user(BOB)])
                session.flush()
                session.add_all([self._new_task(ADA, "Buy milk"), self._new_task(ADA, "\U0001f95b\n'%s'")])
                session.flush()
                session.add(self._new_task(BOB, "Call Ada"))
                session.commit()
            with engine.begin() as connection:
                for row in self.installation.rows:
                    connection.execute(text(row))

    def work(self) -> list[Any]:
        """Do what its routes do, from a list to a deletion, and return all that its clients see."""
        seen: list[Any] = []
        with _engine(self.url) as engine, Session(engine, expire_on_commit=True) as session:
            seen.append(self._titles(session))
            made = self._new_task(BOB, "Old task")
            session.add(made)
            session.commit()
            session.refresh(made)
            seen += [made.model_dump(exclude={"id"}), self._titles(session)]
            found: Any = session.get(self.task, made.id)
            found.title, found.completed = "Changed", True
            session.add(found)
            session.commit()
            seen.append(self._titles(session))
            session.delete(found)
            session.commit()
            seen.append(self._titles(session))
        return seen

    def register_and_leave(self, user_id: str) -> None:
        """Make a user without anything, and delete it again."""
        with _engine(self.url) as engine, Session(engine) as session:
            session.add(self._new_user(user_id))
            session.commit()
        self.delete_user(user_id)

    def delete_user(self, user_id: str) -> None:
        """Delete a user, as the old backend does: tasks first."""
        with _engine(self.url) as engine, Session(engine) as session:
            for task in session.exec(select(self.task).where(self.task.user_id == user_id)):
                session.delete(task)
            session.delete(session.get(self.user, user_id))
            session.commit()

    def _titles(self, session: Session) -> list[tuple[str, list[tuple[str, bool]]]]:
        found = []
        for user in session.exec(select(self.user).order_by(self.user.id)).all():
            tasks = session.exec(select(self.task).where(self.task.user_id == user.id).order_by(self.task.title))
            found.append((user.email, [(task.title, task.completed) for task in tasks]))
        return found

    def _new_user(self, user_id: str) -> Any:
        return self.user(id=user_id, email=f"{user_id}@example.com", created_at=WHEN)

    def _new_task(self, user_id: str, title: str) -> Any:
        known = {"id": f"task-{title[:3]}"} if self.installation.text_ids else {}
        return self.task(user_id=user_id, title=title, completed=False, created_at=WHEN, updated_at=WHEN, **known)


def _models(installation: Installation) -> tuple[type[SQLModel], type[SQLModel]]:
    class Model(SQLModel, registry=registry()):
        pass

    # Said, because later SQLModels make another type of a plain datetime.
    class User(Model, table=True):
        id: str = Field(primary_key=True)
        email: str = Field(sa_column=Column(String, unique=True, nullable=False))
        created_at: datetime = Field(sa_type=DateTime)
        if installation.optional_columns:
            name: str | None = None
            hashed_password: str | None = None
            updated_at: datetime | None = Field(default=None, sa_type=DateTime)

    class TaskFields(Model):
        user_id: str = Field(foreign_key="user.id", index=True)
        title: str = Field(max_length=200)
        completed: bool = False
        created_at: datetime = Field(sa_type=DateTime)
        updated_at: datetime = Field(sa_type=DateTime)
        if installation.optional_columns:
            description: str | None = Field(default=None, max_length=1000)

    if installation.text_ids:

        class Task(TaskFields, table=True):
            id: str = Field(primary_key=True)

        return User, Task

    class NumberedTask(TaskFields, table=True):
        __tablename__ = "task"
        id: int | None = Field(default=None, primary_key=True)

    return User, NumberedTask


@contextmanager
def _engine(url: str) -> Iterator[Engine]:
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"), poolclass=NullPool)
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def _foreign_keys(connection: Any, _record: object) -> None:
            connection.execute("PRAGMA foreign_keys = ON")

    try:
        yield engine
    finally:
        engine.dispose()


def tables_of(observer: Observer) -> list[str]:
    """Return the names of all tables that are not Hansard's."""
    query = (
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1"
        if isinstance(observer, PostgresObserver)
        else "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY 1"
    )
    return [name for (name,) in observer.execute(query)]


def photograph(observer: Observer, tables: Sequence[str]) -> dict[str, Any]:
    """Return everything about tables and their rows, down to where a row stands in its file."""
    take: Callable[[Observer, str], Any] = (
        _photograph_postgres if isinstance(observer, PostgresObserver) else _photograph_sqlite
    )
    return {table: take(observer, table) for table in tables}


def _photograph_postgres(observer: Observer, table: str) -> Any:
    table = f'public."{table}"'
    return [
        # The same file, and the same version of each row in it: nothing was rewritten.
        observer.execute(
            "SELECT pg_relation_filenode(?::regclass), relkind, relowner FROM pg_class WHERE oid = ?::regclass",
            table,
            table,
        ),
        observer.execute(f"SELECT ctid::text, xmin::text, t.* FROM {table} t ORDER BY ctid"),
        observer.execute(
            "SELECT attname, format_type(atttypid, atttypmod), attnotnull, attnum, attisdropped, "
            "pg_get_expr(adbin, adrelid) FROM pg_attribute "
            "LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum "
            "WHERE attrelid = ?::regclass AND attnum > 0 ORDER BY attnum",
            table,
        ),
        observer.execute(
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = ?::regclass ORDER BY 1",
            table,
        ),
        observer.execute(
            "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index "
            "WHERE indrelid = ?::regclass ORDER BY 1",
            table,
        ),
    ]


def _photograph_sqlite(observer: Observer, table: str) -> Any:
    columns = [name for (name,) in observer.execute("SELECT name FROM pragma_table_info(?)", table)]
    cells = ", ".join(f'typeof("{name}"), hex("{name}")' for name in columns)
    return [
        observer.execute("SELECT type, name, sql, rootpage FROM sqlite_master WHERE tbl_name = ? ORDER BY name", table),
        observer.execute(f'SELECT rowid, {cells} FROM "{table}" ORDER BY rowid'),
    ]
