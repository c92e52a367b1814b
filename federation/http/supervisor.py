"""`federation serve --workers N`: the parent of N processes that serve.

1. It takes the addresses, so that one that is not to be had is known before anything is started.
2. It starts the first process, which takes over what an earlier server has left, then the others. What keeps one of
   them from starting ends the server. When all are ready, it listens.
3. It accepts connections and hands each to the process that has the fewest. Listening themselves, the processes would
   take as many as they are quick: of 16 connections one of two took up to 15, with SO_REUSEPORT 11.
4. One that dies is started again. What has been handed to it breaks, and the others go on.
5. SIGTERM and SIGINT end them all, SIGHUP makes them read the catalog again.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import multiprocessing
import pickle
import signal
import socket
import time
from collections.abc import Iterable, Sequence
from multiprocessing.process import BaseProcess

from adapters.errors import OperationalError
from federation.http import addresses
from federation.http.channel import Kind, Load, Message, encoded, number, pair, receive, send
from federation.http.config import ServerConfig
from federation.http.place import Place
from federation.http.state import State

log = logging.getLogger(__name__)

BACKLOG = 2048  # uvicorn's
AT_ONCE = 64  # connections that are accepted before anything else is looked at
PAUSE = 1.0  # seconds, when there is no descriptor left
FIRST_WAIT, LONGEST_WAIT = 0.1, 30.0  # seconds before a process is started again; they double
GOOD_LIFE = 60.0  # seconds, after which it waits no longer than the first time
END_SECONDS = 5.0
NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class WorkerDied(OperationalError, sqlstate="58000"):
    """A process of the server ended before it was ready."""


def serve(config: ServerConfig) -> None:
    """Serve until SIGTERM or SIGINT. Raises what keeps it, or one of the processes, from starting."""
    addresses.start_log()
    http = addresses.bind_http(config)
    postgres = addresses.bind_postgres(config, config.pg_port) if config.pg_port is not None else []
    state = State(config.state)
    state.serve_alone()
    ended_by = asyncio.run(Supervisor(config, http, postgres).run())
    state.close()
    signal.signal(ended_by, signal.SIG_DFL if ended_by == signal.SIGTERM else signal.default_int_handler)
    signal.raise_signal(ended_by)


class _Worker:
    """A process and what is known of it."""

    def __init__(self, place: Place, process: BaseProcess, channel: socket.socket) -> None:
        self.place = place
        self.process = process
        self.ready = False
        self.stale = False  # the catalog may have changed since it began to read it
        self.failure: Exception | None = None  # that kept it from starting
        self.load = Load()
        self.handed = 0
        self.inherited: list[int] = []  # serials of the dead whose statements it was told to take over
        self.channel = channel
        self._started = time.monotonic()

    def clients(self, kind: Kind) -> int:
        """How many speak that with it, and how many are on their way to it."""
        told = self.load.http if kind is Kind.HTTP else self.load.postgres
        return told + self.handed - self.load.taken

    def send(self, kind: Kind, data: bytes = b"", connection: socket.socket | None = None) -> bool:
        """Whether it took it: one that has died does not, nor one that has long done nothing."""
        try:
            send(self.channel, kind, data, connection)
        except OSError:
            return False
        return True

    def end(self) -> str:
        """How it ended; called when it has, or is about to."""
        self.channel.close()
        self.process.join(END_SECONDS)
        self.process.kill()
        self.process.join()
        code = self.process.exitcode or 0
        return f"by {signal.Signals(-code).name}" if code < 0 else f"with code {code}"

    @property
    def lived_well(self) -> bool:
        return time.monotonic() - self._started > GOOD_LIFE


class Supervisor:
    """`run` it once."""

    def __init__(self, config: ServerConfig, http: Sequence[socket.socket], postgres: Sequence[socket.socket]) -> None:
        self._config = config
        self._http = http
        self._listeners = [*((each, Kind.HTTP) for each in http), *((each, Kind.POSTGRES) for each in postgres)]
        self._spawn = multiprocessing.get_context("spawn")  # threads of DuckDB and drivers would not survive a fork
        self._workers: dict[int, _Worker] = {}  # those that are alive, by number
        self._serials = 0
        self._failures = [0] * config.workers
        self._orphaned: list[int] = []  # serials of the dead whose statements are to be taken over
        self._failure: Exception | None = None
        self._signal: signal.Signals | None = None
        self._serving = self._stopping = False
        self._changed = asyncio.Event()

    async def run(self) -> signal.Signals:
        """The signal that ended it. Raises what kept a process from starting."""
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, self._signalled, each)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        await self._start_all([0])
        await self._start_all(range(1, self._config.workers))
        if not self._stopping:
            self._serve()
        while self._workers or not self._stopping:
            await self._change()
        if self._failure is not None:
            raise self._failure
        assert self._signal is not None
        return self._signal

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    # --- processes --------------------------------------------------------------------------------------------------

    async def _start_all(self, numbers: Iterable[int]) -> None:
        """Until they are ready, or all is to end."""
        for each in numbers:
            self._start(each)
        while not (self._stopping or all(each.ready for each in self._workers.values())):
            await self._change()

    def _start(self, number: int) -> None:
        if self._stopping:
            return
        self._serials += 1
        place = Place(number, self._config.workers, self._serials, self._serials == 1)
        ours, theirs = pair()
        with theirs:
            process = self._spawn.Process(
                target=_main, args=(self._config, place, theirs), name=f"worker-{number}", daemon=True
            )
            process.start()
        ours.setblocking(False)
        worker = self._workers[number] = _Worker(place, process, ours)
        asyncio.get_running_loop().add_reader(ours, self._read, worker)

    def _read(self, worker: _Worker) -> None:
        try:
            message = receive(worker.channel)
        except OSError:
            message = None
        if message is None:
            self._ended(worker)
        else:
            self._take(worker, message)

    def _take(self, worker: _Worker, message: Message) -> None:
        match message.kind:
            case Kind.READY:
                worker.ready = True
                if worker.stale:
                    worker.send(Kind.RELOAD)
                self._workers_changed()
            case Kind.FAILED:
                worker.failure = pickle.loads(message.data)
            case Kind.LOAD:
                worker.load = Load.from_bytes(message.data)
            case Kind.ASK if message.connection is not None:
                with message.connection as connection:
                    sibling = self._workers.get(number(message.data))
                    if sibling is not None and sibling.ready:
                        sibling.send(Kind.SIBLING, connection=connection)

    def _ended(self, worker: _Worker) -> None:
        asyncio.get_running_loop().remove_reader(worker.channel)
        place = worker.place
        how = worker.end()
        del self._workers[place.number]
        self._orphaned += [place.serial, *worker.inherited]
        if self._serving and not self._stopping:
            self._start_again(worker, how)
        elif not self._stopping:
            self._failure = worker.failure or WorkerDied(f"worker {place.number} ended {how} before it was ready")
            self._stop()
        self._workers_changed()

    def _start_again(self, worker: _Worker, how: str) -> None:
        place = worker.place
        failures = 0 if worker.lived_well else self._failures[place.number]
        self._failures[place.number] = failures + 1
        wait = min(FIRST_WAIT * 2.0**failures, LONGEST_WAIT)
        why = f": {worker.failure}" if worker.failure is not None else ""
        log.error("worker %d ended %s, and is started again in %.1f s%s", place.number, how, wait, why)
        asyncio.get_running_loop().call_later(wait, self._start, place.number)

    def _workers_changed(self) -> None:
        """Who is alive takes over from who is not. Clients wait to be accepted as long as nobody could serve them."""
        ready = [each for each in self._workers.values() if each.ready and not self._stopping]
        while ready and self._orphaned and ready[0].send(Kind.DIED, encoded(self._orphaned[-1])):
            ready[0].inherited.append(self._orphaned.pop())
        loop = asyncio.get_running_loop()
        for listener, kind in self._listeners if self._serving else ():
            if ready:
                loop.add_reader(listener, self._accept, listener, kind)
            else:
                loop.remove_reader(listener)
        self._changed.set()

    # --- clients ----------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        self._serving = True
        for listener, _ in self._listeners:
            listener.setblocking(False)
            listener.listen(BACKLOG)
        self._workers_changed()
        if len(self._listeners) > len(self._http):
            addresses.log_postgres(self._config, [each for each, kind in self._listeners if kind is Kind.POSTGRES])
        addresses.log_http(self._config, self._http)

    def _accept(self, listener: socket.socket, kind: Kind) -> None:
        for _ in range(AT_ONCE):
            try:
                connection, _ = listener.accept()
            except BlockingIOError:
                return
            except OSError as exc:
                if exc.errno in NO_ROOM:
                    log.warning("no connection can be accepted: %s", exc)
                    loop = asyncio.get_running_loop()
                    loop.remove_reader(listener)
                    loop.call_later(PAUSE, self._workers_changed)
                    return
                continue  # it has gone already
            with connection:
                self._hand_on(connection, kind)

    def _hand_on(self, connection: socket.socket, kind: Kind) -> None:
        ready = [each for each in self._workers.values() if each.ready]
        for worker in sorted(ready, key=lambda each: each.clients(kind)):
            if worker.send(kind, connection=connection):
                worker.handed += 1
                return

    # --- the end ----------------------------------------------------------------------------------------------------

    def _reload(self) -> None:
        for worker in self._workers.values() if not self._stopping else ():
            worker.stale = not (worker.ready and worker.send(Kind.RELOAD))

    def _signalled(self, number: signal.Signals) -> None:
        if self._stopping and number == signal.SIGINT:
            for worker in self._workers.values():
                worker.process.kill()
        self._signal = self._signal or number
        self._stop()

    def _stop(self) -> None:
        """Nothing new is accepted; those that serve end what they have begun."""
        if self._stopping:
            return
        self._stopping, self._serving = True, False
        for listener, _ in self._listeners:
            asyncio.get_running_loop().remove_reader(listener)
            listener.close()
        for worker in self._workers.values():
            if worker.ready:
                worker.process.terminate()
            else:
                worker.process.kill()
        self._changed.set()


def _main(config: ServerConfig, place: Place, channel: socket.socket) -> None:
    """In the new process; this one needs nothing of what serves."""
    from federation.without_pandas import leave_pandas_out

    leave_pandas_out()
    from federation.http.process import main

    main(config, place, channel)
