"""One of several processes of a server: it serves the connections that its parent accepts and hands on.

It never outlives the parent: when that ends, in whatever way, so does the channel between them.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import os
import pickle
import signal
import socket
import threading
from collections.abc import Callable
from functools import partial

from federation.http.addresses import start_log
from federation.http.channel import Kind, Load, Message, encoded, number, receive, send
from federation.http.config import ServerConfig
from federation.http.engines import Engines
from federation.http.internal import INVALIDATED, invalidation
from federation.http.lifecycle import Options, Process, postgres_face, prepared
from federation.http.place import Place
from federation.http.protocol import Protocol
from federation.http.server import Server
from federation.http.siblings import Siblings, named, trusting
from federation.http.state import State
from federation.invalidation import Target
from federation.pgwire.server import PgServer

log = logging.getLogger(__name__)
TELL_EVERY = 0.1  # seconds


def main(config: ServerConfig, place: Place, channel: socket.socket) -> None:
    """Serve until SIGTERM. `config` is that of the whole server."""
    for each in (signal.SIGINT, signal.SIGHUP):  # a terminal sends them to all; the parent says what is to be done
        signal.signal(each, signal.SIG_IGN)
    start_log()
    link = Link(channel)
    try:
        process = _process(config, place, link)
    except Exception as exc:
        send(channel, Kind.FAILED, pickle.dumps(exc))
        os._exit(1)  # the end of the interpreter would complain of what is open
    process.run(sockets=[])


def _process(config: ServerConfig, place: Place, link: Link) -> _Process:
    """Raises what keeps it from starting."""
    siblings = Siblings(place.others, link.connect)
    engines = Engines(config.catalog, place.count)
    server = Server(config.share(), engines, State(config.state), place, siblings)

    def relay(target: Target) -> None:
        silent = siblings.tell(INVALIDATED, invalidation(target)).silent
        if silent:
            log.warning("sessions of the workers %s were not told of an invalidation", named(silent))

    engines.relay = relay
    options, tls = prepared(server)
    face = postgres_face(server, tls) if config.pg_port is not None else None
    return _Process(options, server, link, face)


class Link:
    """This process's end of the channel. What arrives is given to `take`, in a thread of its own: nothing does before
    the parent knows that all is ready."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        self.take: Callable[[Message], None] = _nothing
        threading.Thread(target=self._receive, name="parent", daemon=True).start()

    def connect(self, sibling: int) -> socket.socket:
        """A connection over which a sibling can be asked. Raises OSError."""
        ours, theirs = socket.socketpair()
        with theirs:
            send(self.channel, Kind.ASK, encoded(sibling), theirs)
        return ours

    def _receive(self) -> None:
        while True:
            try:
                message = receive(self.channel)
            except OSError:
                message = None
            if message is None:
                os._exit(1)  # nobody is left who could tell it to end, or start it again
            try:
                self.take(message)
            except Exception:
                log.exception("a message of the parent failed")


def _nothing(_: Message) -> None:
    return None


class _Process(Process):
    """Serves what arrives over the link."""

    def __init__(self, options: Options, server: Server, link: Link, postgres: PgServer | None) -> None:
        super().__init__(options, server)
        self._link = link
        self._postgres = postgres
        self._taken = 0
        self._trusting = copy.copy(options)
        self._trusting.loaded_app = trusting(options.loaded_app)
        self._handshakes: set[asyncio.Task[None]] = set()

    def ready(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._link.take = self._take
        if self._postgres is not None:
            self._postgres.start()
        send(self._link.channel, Kind.READY)
        self._telling = asyncio.create_task(self._tell())

    def _take(self, message: Message) -> None:
        connection = message.connection
        match message.kind:
            case Kind.POSTGRES if self._postgres is not None and connection is not None:
                self._taken += 1
                self._postgres.take(connection)
            case Kind.HTTP | Kind.SIBLING if connection is not None:
                self._taken += message.kind is Kind.HTTP
                self._loop.call_soon_threadsafe(self._converse, connection, message.kind is Kind.SIBLING)
            case Kind.RELOAD:
                self.reload()
            case Kind.DIED:
                self._server.workers.soon(partial(self._server.statements.take_over, number(message.data)))

    def _converse(self, connection: socket.socket, is_sibling: bool) -> None:
        if self.should_exit:
            connection.close()
            return
        task = asyncio.create_task(self._connected(connection, is_sibling))
        self._handshakes.add(task)
        task.add_done_callback(self._handshakes.discard)

    async def _connected(self, connection: socket.socket, is_sibling: bool) -> None:
        connection.setblocking(False)

        def protocol() -> Protocol:
            options = self._trusting if is_sibling else self.config
            return Protocol(options, self.server_state, self.lifespan.state)

        try:
            encryption = None if is_sibling else self.config.ssl
            await asyncio.get_running_loop().connect_accepted_socket(protocol, connection, ssl=encryption)
        except OSError as exc:  # what it sends is no TLS, or it has gone
            log.debug("a connection ended before a request: %s", exc)

    async def _tell(self) -> None:
        """The parent, how many clients there are, until this process ends."""
        before = Load()
        while True:
            now = Load(len(self.server_state.connections), self._postgres.clients if self._postgres else 0, self._taken)
            if now != before:
                send(self._link.channel, Kind.LOAD, now.to_bytes())
                before = now
            await asyncio.sleep(TELL_EVERY)
