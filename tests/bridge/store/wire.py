"""A wire between a ledger and its PostgreSQL server that is cut at the worst moment: around a commit."""

import contextlib
import socket
import threading
from enum import Enum

from tests.postgres import Address

CHUNK_BYTES = 65_536
#: How PostgreSQL's protocol sends the command.
COMMIT = b"COMMIT\0"
STOP_TIMEOUT_S = 10.0


class Cut(Enum):
    """What is lost with the connection, the next time that somebody commits."""

    REQUEST = "the commit never reaches the server"
    ANSWER = "the server commits, and its answer never comes back"


class Wire:
    """Stands before a server, at an address of its own. Cut for good (`sever`) nobody reaches the server by it."""

    def __init__(self, server: Address) -> None:
        host, _, port = server.url.rpartition("@")[2].partition("/")[0].partition(":")
        self._server = host, int(port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._next: Cut | None = None
        self._severed = False
        self.cut = 0
        self._open: list[socket.socket] = []
        self._guard = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._begin(self._accept)

    def url(self, direct: str) -> str:
        """The same database by this wire."""
        before, _, after = direct.rpartition("@")
        return f"{before}@127.0.0.1:{self.port}/{after.partition('/')[2]}"

    def cut_next(self, how: Cut, *, for_good: bool = False) -> None:
        """At the next commit."""
        self._for_good = for_good
        self._next = how

    def mend(self) -> None:
        """Let connections through again."""
        self._severed = False

    def close(self) -> None:
        """End all of it."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._hang_up()
        for thread in self._threads:
            thread.join(STOP_TIMEOUT_S)
            assert not thread.is_alive()

    def _begin(self, what: object, *given: object) -> None:
        assert callable(what)
        thread = threading.Thread(target=what, args=given, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            if self._severed:
                client.close()
                continue
            try:
                server = socket.create_connection(self._server)
            except OSError:
                client.close()
                continue
            with self._guard:
                self._open += [client, server]
            self._begin(self._forward, client, server)
            self._begin(self._backward, server, client)

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := client.recv(CHUNK_BYTES):
                if self._next is not None and COMMIT in chunk:
                    how, self._next = self._next, None
                    self._severed = self._for_good
                    self.cut += 1
                    with contextlib.suppress(OSError):
                        client.shutdown(socket.SHUT_RDWR)  # no answer gets through from here on
                    if how is Cut.ANSWER:
                        server.sendall(chunk)
                        server.shutdown(socket.SHUT_WR)
                        return
                    break
                server.sendall(chunk)
        _end(server)

    def _backward(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := server.recv(CHUNK_BYTES):
                with contextlib.suppress(OSError):
                    client.sendall(chunk)
        _end(client)
        _end(server)

    def _hang_up(self) -> None:
        with self._guard:
            for one in self._open:
                _end(one)


def _end(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
