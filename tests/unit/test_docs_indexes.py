"""An index costs disk and every write, so each has its reason in the documentation, and none is there that has gone."""

import re
from pathlib import Path

from hansard.database.search_postgres import PREFIX
from hansard.models import metadata

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "disk.md"
# The application's own.
ADOPTED = {"user", "task"}


def test_every_index_has_its_reason():
    told = PAGE.read_text().partition("## Why each index exists")[2]
    named = {name for name in re.findall(r"^\| `((?:pk|uq|ix)_\w+)", told, re.MULTILINE) if not name.startswith(PREFIX)}
    tables = [table for table in metadata.sorted_tables if table.name not in ADOPTED]
    indexes = {str(index.name) for table in tables for index in table.indexes}
    assert named == indexes | {str(table.primary_key.name) for table in tables}
