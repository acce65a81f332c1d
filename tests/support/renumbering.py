"""A proxy that hands out process numbers of its own, as poolers of connections to PostgreSQL do."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

# What a server greets with: the length of the message, the number of its process; a secret follows.
KEY_DATA = re.compile(rb"K\x00\x00\x00\x0c....", re.DOTALL)


@contextmanager
def renumbered(url: str) -> Iterator[str]:
    """Carry one connection to the server of ``url``; yields the URL that leads through here."""
    parts = urlsplit(url)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        target = (str(parts.hostname), int(parts.port or 0))
        thread = threading.Thread(target=_carry, args=(listener, target), daemon=True)
        thread.start()
        yield url.replace(f":{parts.port}/", f":{listener.getsockname()[1]}/")
        thread.join(60)
        assert not thread.is_alive()


def _carry(listener: socket.socket, target: tuple[str, int]) -> None:
    """Put another process number into the server's greeting."""
    with listener.accept()[0] as client, socket.create_connection(target) as server:

        def upwards() -> None:
            while data := client.recv(65536):
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=upwards, daemon=True)
        thread.start()
        while data := server.recv(65536):
            client.sendall(KEY_DATA.sub(b"K\x00\x00\x00\x0c\x00\x00\x00\x07", data))
        thread.join(60)
