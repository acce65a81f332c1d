"""Ports of this machine for servers that are told where to listen."""

import socket
import weakref


class Port:
    """A free port that is given to nobody else while this object lives, however late its server starts.

    Who binds a port and does not listen keeps it from those who ask for any, and leaves it to those who name it.
    """

    def __init__(self) -> None:
        keeper = socket.socket()
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        keeper.bind(("127.0.0.1", 0))
        weakref.finalize(self, keeper.close)
        self.number: int = keeper.getsockname()[1]

    def __str__(self) -> str:
        return str(self.number)
