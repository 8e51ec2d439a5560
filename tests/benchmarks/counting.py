"""Counts the bytes that a server sends: a port that passes everything on to another."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


class CountingPort:
    """A local port behind which another one answers."""

    def __init__(self, target: int) -> None:
        self.received_bytes = 0
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    @contextlib.contextmanager
    def open(self) -> Iterator[CountingPort]:
        """Pass on until the context is left."""
        threading.Thread(target=self._accept, daemon=True).start()
        try:
            yield self
        finally:
            self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            threading.Thread(target=self._pass_on, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._pass_on, args=(server, client, True), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 18):
                target.sendall(data)
                if counted:
                    self.received_bytes += len(data)
            target.shutdown(socket.SHUT_WR)
