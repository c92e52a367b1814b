"""A TCP proxy that counts the bytes of each direction, and is as slow as a link of a given rate and round trip.

    python -m benchmarks.tpch.proxy '{"targets": {"pg": ["127.0.0.1", 5432]}, "rate": 12500000, "round_trip": 0.02}'

Prints the port for each target as JSON. Every line that it then reads is answered by the bytes so far, [to the target,
from the target] for each; it ends with its input. `rate` is in bytes a second for each direction, `round_trip` in
seconds; both may be null. All connections share the one link. Bytes are those of TCP's payload, counted when they are
handed over. A connection costs one round trip before its first byte; TCP's slow start is not modelled.
"""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping

DIRECT_BYTES = 1 << 20  # read at once when nothing is throttled
PACKET_BYTES = 16 << 10  # what a connection sends before it is another one's turn
QUEUE_PACKETS = 256  # on their way, or waiting for a target that does not read: 4 MiB
BUFFER_SECONDS = 0.005  # what may wait in front of the link; then the sender is held back


class Link:
    """One direction: packets leave one after the other, and arrive `delay` seconds later."""

    def __init__(self, rate: float | None, delay: float) -> None:
        self.direct = rate is None and not delay
        self._rate = rate
        self._delay = delay
        self._lock = threading.Lock()
        self._free_at = 0.0

    def send(self, size: int) -> float:
        """Wait for a place in front of the link; the time at which the last byte of the packet arrives."""
        with self._lock:
            start = max(time.monotonic(), self._free_at)
            self._free_at = start + (size / self._rate if self._rate else 0)
            sent = self._free_at
        _sleep_until(sent - BUFFER_SECONDS)
        return sent + self._delay


class Pump:
    """One direction of one connection; `bytes` is what has reached its end. `on_end` is called once, at its end."""

    def __init__(
        self, source: socket.socket, target: socket.socket, link: Link, opens: float, on_end: Callable[[], None]
    ) -> None:
        self.bytes = 0
        self._source = source
        self._target = target
        self._link = link
        self._opens = opens
        self._on_end = on_end
        self._on_the_way: queue.Queue[tuple[float, bytes]] = queue.Queue(QUEUE_PACKETS)

    def start(self) -> None:
        for work in [self._pass_on] if self._link.direct else [self._depart, self._arrive]:
            threading.Thread(target=work, daemon=True).start()

    def _pass_on(self) -> None:
        buffer = memoryview(bytearray(DIRECT_BYTES))
        with contextlib.suppress(OSError):
            while size := self._source.recv_into(buffer):
                self.bytes += size  # before anybody can have read them
                self._target.sendall(buffer[:size])
        self._end()

    def _depart(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._source.recv(PACKET_BYTES):
                self._on_the_way.put((self._link.send(len(data)), data))
        self._on_the_way.put((self._link.send(0), b""))

    def _arrive(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._next():
                self.bytes += len(data)
                self._target.sendall(data)
            self._end()
            return
        _shut(self._source, socket.SHUT_RDWR)  # the target is gone: nothing more is wanted
        while self._on_the_way.get()[1]:
            pass
        self._end()

    def _next(self) -> bytes:
        due, data = self._on_the_way.get()
        _sleep_until(max(due, self._opens))
        return data

    def _end(self) -> None:
        """The source hears that it is not listened to any more, the target that nothing more comes."""
        _shut(self._source, socket.SHUT_RD)
        _shut(self._target, socket.SHUT_WR)
        self._on_end()


class Connection:
    """Both directions; closed when both have ended."""

    def __init__(self, client: socket.socket, server: socket.socket, links: tuple[Link, Link], trip: float) -> None:
        self._sockets = (client, server)
        self._lock = threading.Lock()
        self._running = 2
        # The handshake: the client may send after one round trip, and that takes half of one to arrive.
        opens = time.monotonic() + 1.5 * trip if trip else 0.0
        for each in self._sockets:
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        there, back = links
        self._pumps = (
            Pump(client, server, there, opens, self._ended),
            Pump(server, client, back, opens, self._ended),
        )
        for pump in self._pumps:
            pump.start()

    def counts(self) -> list[int]:
        return [pump.bytes for pump in self._pumps]

    def _ended(self) -> None:
        with self._lock:
            self._running -= 1
            if not self._running:
                for each in self._sockets:
                    each.close()


class Route:
    """Listens for one target. `port` is ours."""

    def __init__(self, target: tuple[str, int], links: tuple[Link, Link], trip: float) -> None:
        self._target = target
        self._links = links
        self._trip = trip
        self._connections: list[Connection] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def counts(self) -> list[int]:
        """Bytes to the target, and from it, over all connections."""
        counts = [connection.counts() for connection in list(self._connections)]
        return [sum(each[direction] for each in counts) for direction in range(2)]

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            try:
                server = socket.create_connection(self._target)
            except OSError:
                client.close()
                continue
            self._connections.append(Connection(client, server, self._links, self._trip))


def _shut(each: socket.socket, how: int) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(how)


def _sleep_until(moment: float) -> None:
    wait = moment - time.monotonic()
    if wait > 0:
        time.sleep(wait)


def serve(targets: Mapping[str, tuple[str, int]], rate: float | None, round_trip: float | None) -> None:
    trip = round_trip or 0.0
    links = (Link(rate, trip / 2), Link(rate, trip / 2))
    routes = {name: Route((host, port), links, trip) for name, (host, port) in targets.items()}
    print(json.dumps({name: route.port for name, route in routes.items()}), flush=True)
    for _ in sys.stdin:
        print(json.dumps({name: route.counts() for name, route in routes.items()}), flush=True)


if __name__ == "__main__":
    serve(**json.loads(sys.argv[1]))
