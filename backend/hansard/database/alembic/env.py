"""Run revisions on the connection that `hansard.database.migrations` hands over; there is no other way in."""

from alembic import context

from hansard.database.migrations import run_revisions

run_revisions(context)
