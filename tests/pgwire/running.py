"""A server that speaks PostgreSQL's protocol, in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.http.running import Running, free_port, start_server

PASSWORD = "correct horse"  # of ada, and eve's
STRANGE = "pÄss\u00a0wort ﬁ'\""


@dataclass
class Postgres:
    """`http` is the face beside it."""

    http: Running
    port: int

    @property
    def uri(self) -> str:
        return f"host=127.0.0.1 port={self.port} user=somebody dbname=federation"

    @property
    def pid(self) -> int:
        return self.http.process.pid

    def threads(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/task").iterdir()))

    def files(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def log(self) -> str:
        return (self.http.folder / "server.log").read_text()


@contextmanager
def start_face(folder: Path, *options: str, state: Path | None = None, scheme: str = "http") -> Iterator[Postgres]:
    port = free_port()
    with start_server(folder, "--pg-port", str(port), *options, state=state, scheme=scheme) as running:
        yield Postgres(running, port)
