"""A small TCP proxy that cuts every connection at a chosen moment, as a failing network does."""

import contextlib
import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Literal

Cut = Literal["before", "after", "late", "terminated", "down", "silent", "forgotten"]
"""When connections are lost.

Before the message reaches the server; after it; before it, but the server gets it when `deliver` says; only what the
test does; after it, and nobody gets through again. The last two lose nothing that anybody would notice: nothing comes
through any more, for new connections either, or only for those that there are. The test does something at these too.
"""


class CuttingProxy:
    """Stands before a server; once a connection has said `words`, one after the other, it cuts."""

    def __init__(self, port: int, words: tuple[bytes, ...], cut: Cut, act: Callable[[], object]) -> None:
        self._server_port = port
        self._words = words
        self._cut = cut
        self._act = act
        self.open = True
        """Whether it lets new connections through."""
        self.has_cut = False
        self.connections = 0
        """How many it was asked for since `cut_at` was last set, or since it began."""
        self._cut_at = 0
        self._late: tuple[socket.socket, bytes] | None = None
        self._muted: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._forwarding: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def cut_at(self, number: int) -> None:
        """Cut all connections when the Nth one from now on is asked for, and refuse that one."""
        self.connections, self._cut_at, self.has_cut = 0, number, False

    def deliver(self) -> None:
        """Let the server have the message that is late; returns once the server has ended that connection."""
        assert self._late is not None
        server, data = self._late
        with contextlib.suppress(OSError):  # where the server has ended it before
            server.sendall(data)
            server.shutdown(socket.SHUT_WR)
        for thread in self._forwarding:
            thread.join()

    def close(self) -> None:
        """End it and all its connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # a close alone wakes nobody who waits for a connection
        self._accepting.join()
        self._listener.close()
        self._cut_all()
        for thread in self._forwarding:
            thread.join()
        for end in itertools.chain(*self._pairs):
            end.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            at_last = self.connections == self._cut_at
            if at_last:
                self.has_cut = True
                self._cut_all()
            if at_last or not self.open:
                client.close()
                continue
            if self.has_cut and self._cut == "silent":
                self._pairs.append((client, client))
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self._server_port))
            except OSError:
                client.close()
                continue
            self._pairs.append((client, server))
            for ends in ((client, server, self._words), (server, client, ())):
                thread = threading.Thread(target=self._forward, args=ends, daemon=True)
                self._forwarding.append(thread)
                thread.start()

    def _forward(self, source: socket.socket, sink: socket.socket, words: tuple[bytes, ...]) -> None:
        waiting = list(words)
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                while waiting and waiting[0] in data:
                    waiting.pop(0)
                if words and not waiting and not self.has_cut:
                    self._disturb(sink, data)
                elif sink not in self._muted:
                    sink.sendall(data)
        if (self._late is None or sink is not self._late[0]) and not self._keeps_quiet(sink):
            with contextlib.suppress(OSError):
                sink.shutdown(socket.SHUT_WR)

    def _keeps_quiet(self, sink: socket.socket) -> bool:
        """Whether the one end does not even learn that the other is gone."""
        return self._cut in ("silent", "forgotten") and sink in self._muted

    def _disturb(self, sink: socket.socket, data: bytes) -> None:
        if self._cut in ("silent", "forgotten"):
            self._muted.update(itertools.chain(*self._pairs))
            self._act()
            self.has_cut = True
            return
        if self._cut != "terminated":
            # Once the message is on its way, its answer must not win the race against the cut.
            self._muted.update(client for client, _ in self._pairs)
        self.has_cut = True
        self.open = self._cut != "down"
        if self._cut == "terminated":
            self._act()
        if self._cut == "late":
            self._late = (sink, data)
        elif self._cut != "before":
            sink.sendall(data)
        if self._cut != "terminated":
            self._cut_all(sparing=sink if self._cut == "late" else None)

    def _cut_all(self, sparing: socket.socket | None = None) -> None:
        # Who was cut first may be back before the last one is, and is not meant.
        for pair in tuple(self._pairs):
            for end in pair:
                if end is sparing:
                    continue
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def cutting(port: int, words: tuple[bytes, ...], cut: Cut, act: Callable[[], object]) -> Iterator[CuttingProxy]:
    """A proxy for the block."""
    proxy = CuttingProxy(port, words, cut, act)
    try:
        yield proxy
    finally:
        proxy.close()
