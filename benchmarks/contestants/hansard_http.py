"""Use the service over HTTP, in a process of its own, with the client that the official SDKs are built on.

Processor time is the service's and the client's together. A page has at most 100 items, so 1000 take ten requests.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import jwt
import psutil

from benchmarks.contestants.worker import Contestant, Said, serve
from tests.support.served import Served

SECRET = "a secret of the benchmarks, at least 32 bytes"  # noqa: S105 - it protects nothing
PAGE = 100
ITEMS_A_REQUEST = 20
PARTS = {"user": "input_text", "assistant": "output_text"}


class Http(Contestant):
    """Start the service, and send requests."""

    packages = ("hansard", "fastapi", "uvicorn", "httpx")

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._client: httpx.AsyncClient

    async def open(self, place: str) -> None:
        folder = self._stack.enter_context(TemporaryDirectory(prefix="hansard-bench-"))
        served = Served(Path(folder), DATABASE_URL=place, JWT_SECRET_KEY=SECRET)
        served.run("db", "upgrade")
        served.start()
        self._stack.callback(served.stop)
        self._client = httpx.AsyncClient(base_url=f"{served.url}/v1/", timeout=60)

    async def close(self) -> None:
        await self._client.aclose()
        self._stack.close()

    async def begin(self, user: str) -> str:
        return str((await self._ask("POST", "conversations", user, json={}))["id"])

    async def append(self, user: str, conversation: str, said: Sequence[Said]) -> None:
        items = [
            {"type": "message", "role": role, "content": [{"type": PARTS[role], "text": text}]} for role, text in said
        ]
        for first in range(0, len(items), ITEMS_A_REQUEST):
            page = {"items": items[first : first + ITEMS_A_REQUEST]}
            await self._ask("POST", f"conversations/{conversation}/items", user, json=page)

    async def load(self, user: str, conversation: str) -> Sequence[Any]:
        found: list[Any] = []
        more = True
        while more:
            after = {"after": found[-1]["id"]} if found else {}
            asked = {"limit": PAGE, "order": "asc", **after}
            page = await self._ask("GET", f"conversations/{conversation}/items", user, params=asked)
            found += page["data"]
            more = page["has_more"]
        return found

    async def last(self, user: str, conversation: str, limit: int) -> Sequence[Any]:
        asked = {"limit": limit, "order": "desc"}
        page = await self._ask("GET", f"conversations/{conversation}/items", user, params=asked)
        items: Sequence[Any] = page["data"][::-1]
        return items

    async def list(self, user: str, limit: int) -> Sequence[Any]:
        page = await self._ask("GET", "conversations", user, params={"limit": limit})
        conversations: Sequence[Any] = page["data"]
        return conversations

    def text(self, message: Any) -> str:
        return str(message["content"][0]["text"])

    def processor(self) -> float:
        spent = [process.cpu_times() for process in psutil.Process().children(recursive=True)]
        return time.process_time() + float(sum(times.user + times.system for times in spent))

    async def _ask(self, method: str, path: str, user: str, **more: Any) -> Any:
        answer = await self._client.request(method, path, headers=_authorised(user), **more)
        answer.raise_for_status()
        return answer.json()


def _authorised(user: str) -> dict[str, str]:
    if user not in _tokens:
        _tokens[user] = jwt.encode({"sub": user, "exp": int(time.time()) + 86_400}, SECRET, algorithm="HS256")
    return {"Authorization": f"Bearer {_tokens[user]}"}


_tokens: dict[str, str] = {}

if __name__ == "__main__":
    serve(Http())
