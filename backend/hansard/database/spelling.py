"""Put names and texts that come from settings into SQL where it takes no parameters, by the driver's own quoting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from sqlalchemy import Connection

# A tuple is a qualified name.
Name: TypeAlias = str | tuple[str, ...]

# What is spelled is sent as it stands; the driver would look for parameters in it otherwise.
_AS_IT_STANDS = {"no_parameters": True}


def spell(connection: Connection, template: str, *, texts: Mapping[str, str] | None = None, **names: Name) -> str:
    """Return a statement with quoted identifiers (``names``) and string literals (``texts``) for its ``{fields}``."""
    from psycopg import sql  # noqa: PLC0415 - the driver is an extra

    fields: dict[str, Any] = {
        field: sql.Identifier(*((name,) if isinstance(name, str) else name)) for field, name in names.items()
    }
    fields |= {field: sql.Literal(text) for field, text in (texts or {}).items()}
    driver: Any = connection.connection.driver_connection
    return sql.SQL(template).format(**fields).as_string(driver)


def execute(connection: Connection, template: str, *, texts: Mapping[str, str] | None = None, **names: Name) -> None:
    """Run a statement with the names and texts of its fields."""
    connection.exec_driver_sql(spell(connection, template, texts=texts, **names), execution_options=_AS_IT_STANDS)
