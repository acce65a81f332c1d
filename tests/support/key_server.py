"""An identity provider: it signs tokens with private keys and publishes the public ones over real HTTP."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

ISSUER = "https://accounts.test"
AUDIENCE = "hansard"


def new_key(algorithm: str) -> Any:
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(65537, 2048)


def public_jwk(key: Any, algorithm: str, kid: str, **more: Any) -> dict[str, Any]:
    implementation = jwt.get_algorithm_by_name(algorithm)
    described = json.loads(implementation.to_jwk(key.public_key()))
    described.pop("key_ops", None)
    return {**described, "kid": kid, **more}


def token(key: Any, algorithm: str, kid: str | None, *, headers: dict[str, Any] | None = None, **claims: Any) -> str:
    whole = {"sub": "ann", "iss": ISSUER, "aud": AUDIENCE, "exp": time.time() + 600, **claims}
    present = {name: value for name, value in whole.items() if value is not None}
    return jwt.encode(present, key, algorithm=algorithm, headers={**({"kid": kid} if kid else {}), **(headers or {})})


class KeyServer:
    """Publishes ``keys``; counts how often it was asked; answers with ``status``, once it is ``opened``."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = []
        self.asked = 0
        self.status = 200
        self.begun, self.opened = threading.Event(), threading.Event()
        self.opened.set()
        self.url = ""


@contextmanager
def key_server() -> Iterator[KeyServer]:
    state = KeyServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked += 1
            state.begun.set()
            state.opened.wait(60)
            body = json.dumps({"keys": state.keys}).encode()
            self.send_response(state.status)
            if state.status in {301, 302}:
                self.send_header("location", state.url)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    # It looks this often whether it shall end, and ends once a test.
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}/jwks"
    try:
        yield state
    finally:
        state.opened.set()
        server.shutdown()
        server.server_close()
        thread.join()
