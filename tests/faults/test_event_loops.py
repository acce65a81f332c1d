"""A connection's death is noticed on whichever event loop the service runs."""

import asyncio
import select
import socket
import struct
import threading
from urllib.parse import urlsplit, urlunsplit

import pytest
import uvloop

from hansard.database import open_database
from hansard.database.dialects import postgres_flight
from hansard.errors import DatabaseUnavailable

RESET = struct.pack("ii", 1, 0)
WARNING = b"SWARNING\0VWARNING\0C57P02\0Mterminating connection because of crash of another server process\0\0"


class Network:
    """Carry one connection to the server, until it is told to stop."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.listening = socket.create_server(("127.0.0.1", 0))
        user, _, _ = parts.netloc.rpartition("@")
        self.url = urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{self.listening.getsockname()[1]}"))
        self._server = socket.create_connection((parts.hostname or "", parts.port or 0))
        self._told_to_stop, self._stop = socket.socketpair()
        self._carrying = threading.Thread(target=self._carry)
        self._carrying.start()

    def stop(self) -> None:
        """Carry nothing any more, and let nobody else in."""
        self._stop.send(b"!")
        self._carrying.join()
        self.listening.close()

    def crash(self) -> None:
        """Do what a server does that crashes: it says so and is gone, whatever was under way."""
        self.client.send(b"N" + (len(WARNING) + 4).to_bytes(4, "big") + WARNING)
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.client.close()

    def close(self) -> None:
        for end in (self._server, self._told_to_stop, self._stop):
            end.close()

    def _carry(self) -> None:
        self.client, _ = self.listening.accept()
        ways = {self.client: self._server, self._server: self.client}
        while self._told_to_stop not in (ready := select.select([*ways, self._told_to_stop], [], [])[0]):
            for end in ready:
                ways[end].sendall(end.recv(65536))


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_server_that_crashes_is_not_waited_for(pg_url: str, new_loop, monkeypatch):
    monkeypatch.setattr(postgres_flight, "LOOK_SECONDS", 0.05)

    async def ask() -> None:
        network = Network(pg_url)
        database = await open_database(network.url)
        await database.ping()
        network.stop()
        asking = asyncio.create_task(database.ping())
        await asyncio.sleep(0)
        await asyncio.to_thread(network.client.recv, 1, socket.MSG_PEEK)  # the question has arrived
        # Both at once, so that the loop sees the reset when there is something to read still.
        network.crash()
        with pytest.raises(DatabaseUnavailable):
            # What nobody notices takes a minute.
            await asyncio.wait_for(asking, 20)
        await database.close()
        network.close()

    loop = new_loop()
    try:
        loop.run_until_complete(ask())
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()
