"""The benchmark's proxy: it passes on every byte, counts them, and takes the time of the link that it stands for."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import pairwise

import pytest

from benchmarks.tpch.link import Link, Speed

SLOW = Speed(rate=2_000_000, round_trip=0.1)


@pytest.fixture
def target() -> Iterator[str]:
    """A server that reads a number as a line, and sends that many bytes; then it echoes."""
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_serve, args=(listener,), daemon=True).start()
    yield f"postgresql://user:pw@127.0.0.1:{listener.getsockname()[1]}/db"
    listener.close()


def _serve(listener: socket.socket) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_answer, args=(client,), daemon=True).start()


def _answer(client: socket.socket) -> None:
    with closing(client), client.makefile("rwb", buffering=0) as stream:
        for line in stream:
            stream.write(bytes(int(line)) if line.strip().isdigit() else line)


@contextmanager
def connected(link: Link) -> Iterator[socket.socket]:
    port = int(link.uris["pg"].rsplit(":", 1)[1].split("/")[0])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        yield connection


def fetch(connection: socket.socket, size: int) -> None:
    connection.sendall(f"{size}\n".encode())
    left = size
    while left:
        got = connection.recv(1 << 20)
        assert got
        left -= len(got)


@pytest.mark.parametrize("speed", [Speed(), SLOW], ids=["direct", "slow"])
def test_every_byte_is_passed_on_and_counted(target: str, speed: Speed) -> None:
    with Link({"pg": target}, speed) as link, connected(link) as one, connected(link) as other:
        assert link.uris["pg"].startswith("postgresql://user:pw@127.0.0.1:")
        for connection in (one, other):
            connection.sendall(b"hello\n")
            assert connection.recv(100) == b"hello\n"
        fetch(one, 100_000)
        assert link.counts() == {"pg": (6 + 6 + 7, 6 + 6 + 100_000)}


@pytest.mark.parametrize("speed", [Speed(), SLOW], ids=["direct", "slow"])
def test_the_end_of_one_side_is_the_end_of_the_other(target: str, speed: Speed) -> None:
    with Link({"pg": target}, speed) as link, connected(link) as connection:
        connection.sendall(b"last\n")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100) == b"last\n"
        assert connection.recv(100) == b""


@pytest.mark.parametrize("speed", [Speed(), SLOW], ids=["direct", "slow"])
def test_a_client_that_leaves_does_not_disturb_the_next(target: str, speed: Speed) -> None:
    with Link({"pg": target}, speed) as link:
        with connected(link) as connection:
            connection.sendall(b"50000000\n")
            connection.recv(10)
        with connected(link) as connection:
            fetch(connection, 10)


def test_a_target_that_refuses_ends_the_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with Link({"pg": f"postgresql://u:p@127.0.0.1:{port}/db"}, Speed()) as link, connected(link) as connection:
        assert connection.recv(1) == b""


def test_a_round_trip_takes_its_time_and_the_first_one_that_of_the_handshake(target: str) -> None:
    with Link({"pg": target}, SLOW) as link:
        start = time.monotonic()
        with connected(link) as connection:
            fetch(connection, 1)
            moments = [time.monotonic()]
            for _ in range(5):
                fetch(connection, 1)
                moments.append(time.monotonic())
    first, others = moments[0] - start, [after - before for before, after in pairwise(moments)]
    assert first >= 0.2
    assert min(others) >= 0.1
    assert min(others) < first  # one of them was not held up by anything else


def test_the_rate_holds_and_latency_is_paid_once(target: str) -> None:
    """Half a second's worth of bytes, in far more packets than latencies would fit into that time."""
    with Link({"pg": target}, SLOW) as link, connected(link) as connection:
        fetch(connection, 1)
        start = time.monotonic()
        fetch(connection, 1_000_000)
        seconds = time.monotonic() - start
    assert seconds >= 0.5 + 0.1 - 0.01
    assert seconds < (1_000_000 / 16_384) * 0.05  # what a latency for each packet would take


def test_connections_share_the_link(target: str) -> None:
    with Link({"pg": target}, SLOW) as link, connected(link) as one, connected(link) as other:
        start = time.monotonic()
        threads = [threading.Thread(target=fetch, args=(each, 500_000)) for each in (one, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert time.monotonic() - start >= 0.5
