"""Serve Hansard, and write down once a second what only the process itself can tell: tasks, and objects in memory."""

import asyncio
import gc
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI

from hansard.app import create_app as create

SECONDS = 1.0


def create_app() -> FastAPI:
    """Return the service; SOAK_TOLD names the file that the last line of is what holds now."""
    app = create()
    serving = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(application: FastAPI) -> AsyncIterator[None]:
        telling = asyncio.create_task(_tell(Path(os.environ["SOAK_TOLD"])))
        async with serving(application):
            yield
        telling.cancel()

    app.router.lifespan_context = lifespan
    return app


async def _tell(path: Path) -> None:
    while True:
        gc.collect()
        told = {"tasks": len(asyncio.all_tasks()), "objects": len(gc.get_objects())}
        path.with_suffix(".new").write_text(json.dumps(told))
        path.with_suffix(".new").replace(path)
        await asyncio.sleep(SECONDS)
