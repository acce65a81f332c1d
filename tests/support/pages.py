"""Run the code of a page as its reader would: block after block, in one folder that holds nothing but the checkout.

* `python` runs as a script of its own, or, when its first line is a file name (`# app.py`), is saved under that name.
  A `text` block right behind it is what it prints.
* `sh` runs in bash; the variables it exports stay. A line that starts a server runs until the page ends, on a free
  port that stands in for 8000 everywhere.
* A PostgreSQL URL stands for the test's own database, and PostgreSQL's commands are those of its server.
* `<!-- not run: why -->` right before a block excuses it. Data and diagrams are not run.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from itertools import groupby
from pathlib import Path

from markdown_it import MarkdownIt

from tests.support.ports import Port

ROOT = Path(__file__).parents[2]
RUNNABLE = {"python", "sh"}
SHOWN = {"text", "json", "mermaid", "sql", "yaml"}
SECONDS = 120

_EXCUSE = re.compile(r"<!-- not run: (.+) -->")
_SAVED_AS = re.compile(r"# ([\w-]+\.py)\n")
_PORT = re.compile(r"(?<!\d)8000(?!\d)")
_POSTGRES = re.compile(r"postgresql://[^\s\"'`]+")
# `-o`: the environment is here already, whoever made it.
_MAKE = "make -o .venv/.ready"
_SERVER = re.compile(rf"{_MAKE} run|hansard serve|uvicorn ")
_OURS = re.compile(r"DATABASE_URL.*|JWT_.*|HANSARD_.*|OPENAI_.*|ARGS|MAKE.*")


@dataclass(frozen=True)
class Block:
    """One block of code, and what stands right behind it as its output."""

    language: str
    code: str
    line: int
    excuse: str | None = None
    output: str | None = None


def pages() -> list[Path]:
    """Every page for people who use Hansard or work on it."""
    folders = [page for name in ("docs", "specs", "examples") for page in (ROOT / name).rglob("*.md")]
    return sorted([*ROOT.glob("*.md"), *folders])


def blocks_of(page: Path) -> list[Block]:
    """The page's blocks of code, in order."""
    found: list[Block] = []
    excuse, before = None, None
    for token in MarkdownIt().parse(page.read_text()):
        if token.type == "fence" and token.map:
            if (before, token.info) == ("python", "text"):
                code = found.pop()
                found.append(Block(code.language, code.code, code.line, code.excuse, output=token.content))
            else:
                found.append(Block(token.info, token.content, token.map[0] + 1, excuse))
        excused = _EXCUSE.match(token.content) if token.type == "html_block" else None
        excuse = excused[1] if excused else None
        before = token.info if token.type == "fence" else None
    return found


def clean(environment: Mapping[str, str], *folders: Path) -> dict[str, str]:
    """An environment without settings of ours, where the commands of these folders and ours are found."""
    kept = {name: value for name, value in environment.items() if not _OURS.fullmatch(name)}
    path = [*map(str, folders), str(Path(sys.executable).parent), environment["PATH"]]
    return kept | {"PATH": os.pathsep.join(path)}


@dataclass
class Reader:
    """Somebody who follows a page to the letter."""

    folder: Path
    environment: dict[str, str]
    database_url: str | None = None
    port: Port = field(default_factory=Port)
    servers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def follow(self, block: Block) -> None:
        """Do what a block says; raises `AssertionError` when it fails or prints something else than the page."""
        code = self._here(block.code)
        if block.language == "sh":
            self._shell(code)
        elif saved := _SAVED_AS.match(code):
            (self.folder / saved[1]).write_text(code)
        else:
            printed = self._run(sys.executable, "-c", code)
            assert block.output is None or printed == block.output, f"line {block.line} prints:\n{printed}"

    def leave(self) -> None:
        """Stop the servers the way a person does: Ctrl-C."""
        for server in self.servers:
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGINT)
            server.wait(SECONDS)

    def _here(self, code: str) -> str:
        code = _PORT.sub(str(self.port), code).replace("make ", f"{_MAKE} ")
        code = code.replace("hansard serve", f"hansard serve --port {self.port}")
        return code if self.database_url is None else _POSTGRES.sub(self.database_url, code)

    def _shell(self, code: str) -> None:
        for serves, lines in groupby(code.splitlines(), key=lambda line: _SERVER.match(line) is not None):
            if serves:
                self._serve("\n".join(lines))
                continue
            exported = self.folder / ".exported"
            self._run("bash", "-euo", "pipefail", "-c", "\n".join([*lines, f"env -0 > '{exported}'"]))
            self.environment = dict(pair.split("=", 1) for pair in exported.read_text().split("\0") if pair)

    def _run(self, *command: str) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        assert done.returncode == 0, f"{command[-1]}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def _serve(self, command: str) -> None:
        log = self.folder / "server.log"
        with log.open("wb") as output:
            server = subprocess.Popen(
                ["bash", "-c", command],
                cwd=self.folder,
                env=self.environment | {"ARGS": f"--port {self.port}"},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.servers.append(server)
        deadline = time.monotonic() + SECONDS
        while not _answers(self.port.number):
            assert server.poll() is None, f"{command}\n{log.read_text()}"
            assert time.monotonic() < deadline, f"{command} does not answer\n{log.read_text()}"
            time.sleep(0.05)


@contextmanager
def reading(folder: Path, *commands: Path, database_url: str | None = None) -> Iterator[Reader]:
    """Give a reader a folder that looks like the checkout and is empty otherwise, and folders of more commands."""
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "backend", "examples", "docs"):
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv").symlink_to(sys.prefix)
    reader = Reader(folder, clean(os.environ, *commands), database_url)
    try:
        yield reader
    finally:
        reader.leave()


def _answers(port: int) -> bool:
    """Say whether the server has started: one that only listens may not yet know what Ctrl-C means."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=SECONDS)) as probe, suppress(OSError, HTTPException):
        probe.request("HEAD", "/healthz")
        return probe.getresponse().status > 0
    return False
