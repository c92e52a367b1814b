"""Servers that are not Federation, or break: each answers statements in one wrong way."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pyarrow as pa

ARROW = "application/vnd.apache.arrow.stream"
OVERVIEW: dict[str, list[str]] = {"sources": [], "view_schemas": [], "search_path": []}
Answer = Callable[[BaseHTTPRequestHandler], None]


def arrow_stream(rows: int = 3, *, end: bool = True, typed: bool = True) -> bytes:
    """A whole stream of one column, or one that lacks its end."""
    metadata = {"federation.type": "BIGINT"} if typed else None
    schema = pa.schema([pa.field("n", pa.int64(), metadata=metadata)])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        for start in range(0, rows, 2):
            writer.write_batch(
                pa.record_batch([pa.array(range(start, min(rows, start + 2)), pa.int64())], schema=schema)
            )
    data = sink.getvalue().to_pybytes()
    return data if end else data[:-8]


def answering(status: int, body: bytes = b"", **headers: str) -> Answer:
    """A well-formed answer; underscores in the names of headers are hyphens."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def aborting(body: bytes, promised: int) -> Answer:
    """Fewer bytes than were promised, and then nothing."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        answering(200, body, Content_Type=ARROW, Content_Length=str(promised))(handler)
        handler.close_connection = True

    return answer


@contextmanager
def impostor(answer: Answer, overview: Answer | None = None) -> Iterator[str]:
    """The address of a server that gives `answer` to every statement."""
    told = overview or answering(200, json.dumps(OVERVIEW).encode(), Content_Type="application/json")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path == "/v1/catalog":
                told(self)
            else:
                answering(404, b"no")(self)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            answer(self)

        def do_DELETE(self) -> None:
            answering(204)(self)

        def log_message(self, *_: object) -> None:
            """Not into the output of the tests."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
