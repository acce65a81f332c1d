"""Node and the npm packages that the tests use. `make test` installs both, Node as a wheel."""

import json
import shutil
import sys
from pathlib import Path

NODE_MODULES = Path(__file__).resolve().parents[2] / ".cache" / "npm" / "node_modules"
ADVICE = "Run `make install` (or `make test`), which installs it from the registries."


def node_binary() -> Path:
    """Return the `node` of this virtual environment, else the one on PATH."""
    found = shutil.which("node", path=str(Path(sys.executable).parent)) or shutil.which("node")
    if found is None:
        raise RuntimeError(f"There is no Node. {ADVICE}")
    return Path(found)


def npm_package(name: str) -> Path:
    """Return the folder of an npm package listed in tests/node/package.json."""
    folder = NODE_MODULES / name
    if not folder.is_dir():
        raise RuntimeError(f"The npm package {name} is not in {NODE_MODULES}. {ADVICE}")
    return folder


def naughty_strings() -> list[str]:
    """Return the Big List of Naughty Strings: real input that has broken real programs."""
    strings: list[str] = json.loads((npm_package("big-list-of-naughty-strings") / "blns.json").read_text("utf-8"))
    return strings
