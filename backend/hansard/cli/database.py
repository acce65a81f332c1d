"""Move the database between revisions."""

from __future__ import annotations

from typing import Annotated

import typer

from hansard.config import Settings, load_settings
from hansard.database import search_index, standing
from hansard.errors import SchemaOutdated

app = typer.Typer(no_args_is_help=True, help="Move the database between revisions, or look where it stands.")


@app.command()
def upgrade(revision: Annotated[str, typer.Argument(help="How far to go.")] = "head") -> None:
    """Apply the revisions that are missing; a database without any gets them all."""
    settings = load_settings()
    url = settings.migration_url
    upgrade_database(url, settings, revision)
    _print_place(url)
    if standing.is_newest(url):
        apply_search(url, settings)


@app.command()
def search() -> None:
    """Make the search indexes that HANSARD_SEARCH asks for, and drop the others; the service may run meanwhile.

    On SQLite stop the service first: it cannot write as long as this takes.
    """
    settings = load_settings()
    apply_search(settings.migration_url, settings)
    typer.echo(f"Search: {settings.search}")


def upgrade_database(url: str, settings: Settings, revision: str = "head") -> None:
    """Apply every missing revision, and print what a person should know."""
    from hansard.database import migrations  # noqa: PLC0415 - loads Alembic, which `serve` need not wait for

    for told in migrations.upgrade(url, revision, role=settings.database_role):
        typer.echo(f"hansard: {told}", err=True)


def apply_search(url: str, settings: Settings) -> None:
    """Bring the search indexes to the setting, and print what could not be done."""
    for told in search_index.apply(url, settings.search_settings, role=settings.database_role):
        typer.echo(f"hansard: {told}", err=True)


@app.command()
def downgrade(revision: Annotated[str, typer.Argument(help="How far to go back; `base` undoes everything.")]) -> None:
    """Undo revisions, with the data they hold."""
    from hansard.database import migrations  # noqa: PLC0415 - as above

    url = load_settings().migration_url
    migrations.downgrade(url, revision)
    _print_place(url)


@app.command()
def current() -> None:
    """Print the revision of the database, and the newest of this release."""
    _print_place(load_settings().migration_url)


@app.command()
def check() -> None:
    """Compare the database with what this release expects; fails when they differ."""
    from hansard.database import migrations  # noqa: PLC0415 - as above

    settings = load_settings()
    url = settings.migration_url
    differences = migrations.check(url, role=settings.database_role)
    for difference in differences:
        typer.echo(difference)
    if not standing.is_newest(url):
        raise SchemaOutdated("the database is not at the newest revision; run: hansard db upgrade")
    if differences:
        raise SchemaOutdated("the database differs from what this release expects")
    typer.echo("The database is what this release expects.")


def _print_place(url: str) -> None:
    revision, newest = standing.current(url), standing.head()
    typer.echo(f"{revision or 'no revision'} ({'newest' if revision == newest else f'newest: {newest}'})")
