"""Reach the database: connections, units of work, migrations."""

from hansard.database.dialects.base import Connections
from hansard.database.session import Database, open_database

__all__ = ["Connections", "Database", "open_database"]
