"""Reach the database: connections, units of work, migrations."""

from hansard.database.session import Database, open_database

__all__ = ["Database", "open_database"]
