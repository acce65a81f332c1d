"""Answer a request that is sent again with the answer of the first time: the header ``Idempotency-Key``."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Final

from fastapi import Depends, Header, Request, Response

from hansard.api.answers import JsonAnswer
from hansard.api.deps import JsonBody, OwnStore
from hansard.errors import InvalidInput
from hansard.models.idempotency import DIGEST_BYTES, KEY_CHARACTERS, Answer, RequestKey
from hansard.models.limits import JsonObject
from hansard.store.contract import UserStore
from hansard.utils.json_text import write_json

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "idempotent-replayed"


class OncePerKey:
    """Do the work of a request, at most once for its key; without a key, at every request."""

    def __init__(self, store: UserStore, key: RequestKey | None) -> None:
        self._store = store
        self._key = key

    async def __call__(self, work: Callable[[], Awaitable[Response]]) -> Response:
        """Return the answer of ``work``, which writes through the request's own store, or the kept one."""
        if self._key is None:
            return await work()
        answer = await self._store.keys.once(self._key, partial(_answer_of, work))
        headers = {REPLAYED: "true"} if answer.replayed else None
        return JsonAnswer(answer.text.encode("ascii"), answer.status, headers)


async def _request_key(
    request: Request,
    body: JsonBody,
    key: Annotated[
        str | None,
        Header(
            alias=HEADER,
            description=f"1 to {KEY_CHARACTERS} printable ASCII characters of your choice. The same request with the "
            "same key is done once; for 24 hours, unless the service is set otherwise, it is answered as the first "
            "time.",
            # Only told, so that a bad key is refused in our own words. HTTP takes the white space around it away.
            json_schema_extra={"minLength": 1, "maxLength": KEY_CHARACTERS, "pattern": "^[!-~]([ -~]*[!-~])?$"},
        ),
    ] = None,
) -> RequestKey | None:
    if key is None:
        return None
    if len(request.headers.getlist(HEADER)) > 1:
        raise InvalidInput(f"There must be one {HEADER} only.", param=HEADER)
    return RequestKey(key, _digest(request, body), param=HEADER)


KeyOfRequest = Annotated[RequestKey | None, Depends(_request_key)]


async def _once(store: OwnStore, key: KeyOfRequest) -> OncePerKey:
    return OncePerKey(store, key)


Once = Annotated[OncePerKey, Depends(_once)]


def _digest(request: Request, body: JsonObject) -> bytes:
    # Of the body's values and their order, not of its white space: a client may build it anew.
    asked = write_json([request.method, request.url.path, body])
    return hashlib.blake2b(asked, digest_size=DIGEST_BYTES).digest()


async def _answer_of(work: Callable[[], Awaitable[Response]]) -> Answer:
    response = await work()
    return Answer(response.status_code, bytes(response.body).decode("ascii"))
