"""What takes the lane is answered as the framework would answer it; the rest is left to the framework."""

from pathlib import Path
from typing import Annotated, Any, cast

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request, Response

from hansard.api import errors
from hansard.api.errors import ApiError
from hansard.api.lane import Lane, left_to_the_framework
from hansard.app import create_app
from hansard.config import Settings

CALLS: list[str] = []
router = APIRouter()


async def guard(request: Request, token: Annotated[str | None, Header()] = None) -> str:
    CALLS.append("guard")
    if token == "bad":
        raise ApiError("Who are you?", status=401)
    return token or "nobody"


async def page(limit: Annotated[int, Query(ge=1, le=9)] = 5, tag: Annotated[list[str] | None, Query()] = None) -> Any:
    return limit, tag


Guarded = Annotated[str, Depends(guard)]


async def twice(first: Guarded) -> str:
    return first * 2


@router.get("/things/{thing}", dependencies=[Depends(page)])
async def read(
    thing: str, who: Guarded, both: Annotated[str, Depends(twice)], at: Annotated[Any, Depends(page)]
) -> Response:
    return Response(f"{thing} {who} {both} {at}")


@router.get("/numbers/{number}")
async def number(number: int, needed: str) -> Response:
    return Response(f"{number + 1} {needed}")


@router.get("/objects")
async def objects() -> dict[str, int]:
    return {"a": 1}


def client(*, lane: bool) -> httpx.AsyncClient:
    app = FastAPI()
    errors.install(app)
    app.include_router(router)
    if lane:
        app.add_middleware(Lane, routers=[router])
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


@pytest.mark.parametrize(
    "method, path, headers",
    [
        ("GET", "/things/a", {}),
        ("GET", "/things/a%20b?limit=9&tag=x&tag=y", {"token": "ann"}),
        ("GET", "/things/a?limit=0", {"token": "ann"}),
        ("GET", "/things/a?limit=many", {"token": "bad"}),
        ("GET", f"/things/a?tag={'x' * 300}", {}),
        ("GET", "/numbers/41?needed=yes", {}),
        ("GET", "/numbers/many", {}),
        ("GET", "/numbers/41", {}),
        ("GET", "/objects", {}),
        ("HEAD", "/things/a", {}),
        ("PUT", "/things/a", {}),
        ("GET", "/nowhere", {}),
        ("GET", "/things/a/b", {}),
    ],
)
async def test_both_ways_answer_alike(method: str, path: str, headers: dict[str, str]):
    answers = []
    for lane in (True, False):
        CALLS.clear()
        async with client(lane=lane) as sender:
            answer = await sender.request(method, path, headers=headers)
        answers.append((answer.status_code, answer.content, answer.headers.items(), CALLS.copy()))
    assert answers[0] == answers[1]


def test_our_whole_api_takes_the_lane(tmp_path: Path):
    app = create_app(Settings.model_validate({"DATABASE_URL": f"sqlite:///{tmp_path / 'hansard.db'}"}))
    [options] = [cast("dict[str, Any]", one.kwargs) for one in app.user_middleware if cast("object", one.cls) is Lane]
    assert left_to_the_framework(options["routers"]) == []
    assert left_to_the_framework([router]) == ["/objects"]
