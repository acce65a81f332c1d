"""Make the functions that search messages anew where an earlier revision 0006 made them.

Between two releases that revision was put right in place, so a database of that time has functions, and perhaps an
index, of which this release expects others. Where all is as 0006 makes it now there is nothing to do; that is told by
the text of the one function that differed each time. It cannot be replaced, because it returns something else now;
`hansard.database.search_postgres` opens its way past row-level security again, and makes the index.
"""

from alembic import context, op
from sqlalchemy import Connection, text

from hansard.database.isolation import on_postgres
from hansard.database.search_postgres import FUNCTION, PREFIX
from hansard.database.spelling import execute, spell

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if not on_postgres():
        return
    connection = op.get_bind()
    functions = context.script.get_revision("0006").module
    schema = connection.execute(text("SELECT current_schema()")).scalar_one()
    standing = text("SELECT prosrc FROM pg_proc WHERE oid = to_regprocedure(:function)")
    if connection.execute(standing, {"function": FUNCTION}).scalar() == _body(connection, functions.SEARCH, schema):
        return
    execute(connection, f"DROP FUNCTION {FUNCTION}")
    functions.make(connection, schema)
    _drop_index(connection)


def downgrade() -> None:
    """Leave the functions as they are: 0006 makes the same."""


def _body(connection: Connection, function: str, schema: str) -> str:
    return spell(connection, function, schema=schema).split("$function$")[1]


def _drop_index(connection: Connection) -> None:
    name = f"{PREFIX}substrings"
    defined = connection.execute(text("SELECT pg_get_indexdef(to_regclass(:name))"), {"name": name}).scalar()
    if defined is not None and "octet_length" not in defined:
        execute(connection, "DROP INDEX {name}", name=name)
