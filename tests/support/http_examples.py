"""Make the examples of the OpenAPI document and the reference page anew: ``python -m tests.support.http_examples``."""

import contextlib
import json
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from hansard.api import examples
from hansard.app import create_app, open_access
from hansard.config import Settings
from tests.api.live import serving, settings_for
from tests.plugins.stores import make_ready
from tests.support.http_reference import page_of
from tests.support.http_story import SDK, tell
from tests.support.http_teller import Teller
from tests.support.http_troubles import tell_of_troubles

ROOT = Path(__file__).parents[2]
KEPT = Path(examples.__file__).with_name(examples.FILE)
PAGE = ROOT / "docs" / "reference" / "http.md"


@contextlib.contextmanager
def telling(settings: Settings, folder: Path) -> Iterator[Teller]:
    """Ask everything of an embedded service of these settings: its user and tasks are new; then others for errors."""
    access = open_access(settings)
    assert access.sessions is not None
    key = access.token("local", ttl=timedelta(hours=1))
    with serving(settings) as live, httpx.Client(base_url=live.url, timeout=30) as client:
        client.headers["authorization"] = f"Bearer {key}"
        teller = Teller(client, client.get("/openapi.json").json())
        tell(teller.ask, code=access.sessions.codes.issue())
        tell_of_troubles(teller, settings, folder)
        yield teller


def written(exchanges: list[dict[str, Any]]) -> str:
    """Return the text of the file of examples."""
    return json.dumps({"exchanges": exchanges, "sdk": SDK}, indent=1, ensure_ascii=False) + "\n"


def reference(settings: Settings) -> str:
    """Return the text of the reference page."""
    return page_of(create_app(settings).openapi())


def main() -> None:
    """Write both."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/hansard.db"
        make_ready(url)
        settings = settings_for(url, secret=None)
        with telling(settings, Path(folder)) as teller:
            KEPT.write_text(written(teller.kept()))
        PAGE.write_text(reference(settings))


if __name__ == "__main__":
    main()
