"""The example of an application with turns of its own runs as it is, and its answers survive their readers."""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from tests.support.ports import Port

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[httpx.Client]:
    """The example, served."""
    port = Port()
    command = [sys.executable, "-m", "uvicorn", "turns_in_your_app:app", "--port", str(port), "--log-level", "warning"]
    environment = {**os.environ, "DATABASE_URL": f"sqlite:///{tmp_path / 'chats.db'}"}
    server = subprocess.Popen(command, cwd=EXAMPLES, env=environment)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            deadline = time.monotonic() + 60
            while not answers(client):
                assert server.poll() is None
                assert time.monotonic() < deadline
            yield client
    finally:
        server.terminate()
        server.wait()


def answers(client: httpx.Client) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return client.get("/openapi.json").status_code == 200
    return False


def test_an_answer_is_complete_although_its_reader_left(app: httpx.Client):
    seen = ""
    with app.stream("POST", "/chats", json={"text": "Hello"}) as answer:
        turn = answer.headers["x-turn"]
        for line in answer.iter_lines():
            seen += f"{line}\n"
            if "output_text.delta" in line:
                break
    last = int(re.findall(r"^id: (\d+)$", seen, re.MULTILINE)[-1])
    rest = app.get(f"/turns/{turn}", params={"after": last}).text
    numbers = [int(number) for number in re.findall(r"^id: (\d+)$", rest, re.MULTILINE)]
    assert numbers == list(range(last + 1, last + 1 + len(numbers)))
    end = json.loads(rest.strip().rpartition("data: ")[2])["response"]
    chat = UUID(end["conversation"]["id"].removeprefix("conv_")[:32])
    said = [item["content"][0]["text"] for item in app.get(f"/chats/{chat}").json()]
    assert said == ["Hello", "You said 1 things so far, and I keep them all. "]
