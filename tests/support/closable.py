"""A port before a server that can be closed while the server lives, as a firewall does."""

import contextlib
import socket
import threading
from collections.abc import Iterator

from tests.support.ports import listening


class ClosablePort:
    """Passes connections on to a server's port as long as it is open."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = listening()
        self.port = int(self._listener.getsockname()[1])
        self._serve()

    def close(self) -> None:
        """Refuse connections from now on."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def open(self) -> None:
        """Take connections again."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._serve()

    def _serve(self) -> None:
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                threading.Thread(target=_carry, args=(client, server), daemon=True).start()


def _carry(client: socket.socket, server: socket.socket) -> None:
    with client, server:
        back = threading.Thread(target=_pass_on, args=(server, client), daemon=True)
        back.start()
        _pass_on(client, server)
        back.join()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for one in (source, sink):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def closable_port(target: int) -> Iterator[ClosablePort]:
    """A port that leads to another one of this machine."""
    made = ClosablePort(target)
    try:
        yield made
    finally:
        made.close()
