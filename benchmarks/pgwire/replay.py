"""A server that has its answers ready: what another one has answered to the same request before, byte for byte.

    python -m benchmarks.pgwire.replay URI      prints its port, and asks that server what it is asked first

No server is quicker with the same bytes: what a client gets from this one is as much as it can take.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import pq

from benchmarks.pgwire.place import Target
from benchmarks.pgwire.wire import Wire
from federation.pgwire.messages import AUTHENTICATION_OK, backend_key, parameter_status, ready

REPORTED = ("server_version", "server_encoding", "client_encoding", "integer_datetimes", "standard_conforming_strings")
NAME = "a server that has it ready"
LARGE = 1 << 20  # bytes of an answer, of which the last one is kept


@contextmanager
def replaying(target: Target) -> Iterator[Target]:
    """In a process of its own."""
    command = [sys.executable, "-m", "benchmarks.pgwire.replay", target.uri]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            at = f"127.0.0.1:{int(process.stdout.readline())}"
            uri = f"postgresql://somebody@{at}/?sslmode=disable&gssencmode=disable"
            yield Target(NAME, uri, target.table, target.many, process.pid)
        finally:
            process.kill()


class Replay:
    """A client is let in whoever it is, and asks one thing after the other."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._answers: dict[bytes, bytes] = {}
        self._asking = threading.Lock()
        login = pq.PGconn.connect(uri.encode())
        reported = [(name, login.parameter_status(name.encode()) or b"") for name in REPORTED]
        login.finish()
        parameters = b"".join(parameter_status(name, value.decode()) for name, value in reported)
        self._greeting = AUTHENTICATION_OK + parameters + backend_key(0, bytes(4)) + ready("I")

    def serve(self, client: socket.socket) -> None:
        """All requests of a client, each of which ends with a Query or a Sync."""
        wire: Wire | None = None
        with client, client.makefile("rb") as stream:
            stream.read(int.from_bytes(stream.read(4)) - 4)
            client.sendall(self._greeting)
            request = b""
            while head := stream.read(5):
                request += head + stream.read(int.from_bytes(head[1:]) - 4)
                if head[:1] not in (b"Q", b"S"):
                    continue
                with self._asking:
                    if request not in self._answers:
                        wire = wire or Wire(self._uri)
                        self._keep(request, wire.exchange(request))
                client.sendall(self._answers[request])
                request = b""
        if wire is not None:
            wire.close()

    def _keep(self, request: bytes, answer: bytes) -> None:
        if len(answer) > LARGE:
            self._answers = {asked: known for asked, known in self._answers.items() if len(known) <= LARGE}
        self._answers[request] = answer


def main() -> None:
    replay = Replay(sys.argv[1])
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        threading.Thread(target=replay.serve, args=[listener.accept()[0]], daemon=True).start()


if __name__ == "__main__":
    main()
