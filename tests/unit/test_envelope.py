"""Every answer has our headers, each once, whatever the application beneath says."""

from unittest.mock import AsyncMock

from hansard.api.middleware import HEADERS, RequestEnvelope

SCOPE = {"type": "http", "method": "GET", "path": "/", "headers": [(b"x-request-id", b"from-a-client")]}


async def test_our_own_headers_replace_others_and_what_an_answer_says_for_itself_stays():
    sent = []

    async def app(scope, _receive, send):
        scope["hansard.headers"] = {"Retry-After": "7"}
        theirs = [(b"x-request-id", b"theirs"), (b"Retry-After", b"1"), (b"cache-control", b"max-age=60")]
        await send({"type": "http.response.start", "status": 200, "headers": theirs})
        await send({"type": "http.response.body", "body": b""})

    async def send(message):
        sent.append(message)

    await RequestEnvelope(app)(dict(SCOPE), AsyncMock(), send)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    assert len(headers) == len(sent[0]["headers"])
    assert headers == {**HEADERS, "x-request-id": "from-a-client", "Retry-After": "7", "cache-control": "max-age=60"}
