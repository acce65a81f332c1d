"""Answer those who watch the process: is it alive, can it serve."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from hansard.api.answers import JsonAnswer
from hansard.api.deps import edge_of
from hansard.api.openapi import describes

router = APIRouter(tags=["Health"])


@router.get("/healthz", operation_id="getHealth", summary="Is the process alive?", responses=describes("Health"))
async def get_health() -> Response:
    """Answer as long as the process runs; the database is not asked."""
    return JsonAnswer(b'{"status":"ok"}')


@router.get("/readyz", operation_id="getReadiness", summary="Can it serve?", responses=describes("Health"))
async def get_readiness(request: Request) -> Response:
    """Answer 200 when the database can be reached, is migrated and lets the runtime role read; else an error."""
    await edge_of(request).ready()
    return JsonAnswer(b'{"status":"ready"}')
