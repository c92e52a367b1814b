"""The messages of a session, one after the other: simple queries and the extended protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol as TypingProtocol

from sqlglot import exp

from adapters.errors import NotSupportedError, SQLSyntaxError
from federation.pgwire import messages
from federation.pgwire.connection import MESSAGE_BYTES, Connection, Gone
from federation.pgwire.dialect import statements as said
from federation.pgwire.messages import KINDS, Message, ProtocolViolation, read_message
from federation.pgwire.output import copy_out, described, send_rows
from federation.pgwire.parameter_values import decode_parameter
from federation.pgwire.portals import Portal
from federation.pgwire.prepared import Prepared
from federation.pgwire.reports import error_response
from federation.pgwire.session import AdminShutdown, IdleInTransaction, Session
from federation.pgwire.settings import REPORTED, SETTINGS
from federation.pgwire.statements import WITH_ROWS, Statements
from federation.pgwire.watch import Watch


class Reader(TypingProtocol):
    """Reads the statements of a text."""

    def __call__(self, text: str, *, duckdb: bool) -> Sequence[said.Parsed]: ...


EXTENDED = b"PBDECH"
ANSWERED = b"QFS"  # by ReadyForQuery
SYNC = ord("S")
TERMINATE = ord("X")


class Protocol:
    """`serve` answers one client. `watch` sees it leave."""

    def __init__(
        self,
        connection: Connection,
        session: Session,
        statements: Statements,
        read: Reader,
        watch: Watch,
    ) -> None:
        self._connection = connection
        self._session = session
        self._statements = statements
        self._read = read
        self._watch = watch
        self._told: Mapping[str, str] = {}
        self._at_rest = False  # between two transactions, with nothing that the client waits for

    def serve(self, go_on: Callable[[], bool]) -> None:
        """Until the client leaves, or between two transactions `go_on` is no longer so. Raises Gone, IdleInTransaction,
        AdminShutdown, and ProtocolViolation when nothing more can be read."""
        self._ready()
        skipping = False  # after an error in the extended protocol, up to Sync
        while True:
            self._wait()
            kind, body = self._connection.read(KINDS, MESSAGE_BYTES)
            self._at_rest = False
            if kind == TERMINATE:
                return
            if skipping and kind != SYNC:
                continue
            skipping = False
            try:
                self._answer(read_message(kind, body))
            except (Gone, AdminShutdown):
                raise
            except Exception as exc:
                self._failed(exc)
                skipping = kind in EXTENDED
            if kind in ANSWERED:
                self._ready()
                if self._session.status == "I" and not go_on():
                    return

    def _wait(self) -> None:
        """For the client, which may keep a transaction waiting for so long only, and is told of news meanwhile."""
        session = self._session
        seconds = session.longest_idle
        if seconds and not self._connection.wait(seconds):
            raise IdleInTransaction("terminating connection due to idle-in-transaction timeout")
        wake = session.mailbox.wake()
        while self._at_rest and wake is not None and not self._connection.wait(None, wake):
            self._tell_news()
            self._connection.flush()

    def _tell_news(self) -> None:
        for channel, payload in self._session.mailbox.take():
            self._connection.send(messages.notification(channel, payload))

    def _failed(self, exc: Exception) -> None:
        self._session.failed()
        self._connection.send(error_response(exc))
        self._connection.flush()  # a client in a pipeline may wait for it without a Sync

    def _ready(self) -> None:
        """The end of an implicit transaction, and of what the client waits for."""
        session = self._session
        session.end_implicit()
        session.activity.rests(session.status)
        now = session.settings.values()
        if now is not self._told:  # every change makes another mapping
            for name in REPORTED:
                if self._told.get(name) != now[name]:
                    self._connection.send(messages.parameter_status(SETTINGS[name].name, now[name]))
            self._told = now
        self._at_rest = session.status == "I"
        if self._at_rest:
            self._tell_news()
        self._connection.send(messages.ready(session.status))
        self._connection.flush()

    def _answer(self, message: Message) -> None:
        match message:
            case messages.Query(text):
                self._simple(text)
            case messages.Parse():
                self._parse(message)
            case messages.Bind():
                self._bind(message)
            case messages.Describe(True, name):
                self._describe_portal(self._session.find_portal(name))
            case messages.Describe(False, name):
                self._describe_statement(self._session.find_prepared(name))
            case messages.Execute(name, most):
                portal = self._session.find_portal(name)
                self._session.activity.works(portal.text)
                self._execute(portal, most)
            case messages.Close(True, name):
                self._session.close_portal(name)
                self._connection.send(messages.CLOSE_COMPLETE)
            case messages.Close(False, name):
                self._session.prepared.pop(name, None)
                self._connection.send(messages.CLOSE_COMPLETE)
            case messages.Flush():
                self._connection.flush()
            case messages.FunctionCall():
                raise NotSupportedError("the function call protocol is not supported", hint="SELECT the function")

    # --- simple -----------------------------------------------------------------------------------------------------

    def _simple(self, text: str) -> None:
        self._session.activity.works(text)
        self._session.close_portal("")
        self._session.prepared.pop("", None)
        for parsed in self._read(text, duckdb=self._session.duckdb):
            self._statements.check(parsed)
            portal = self._statements.portal(Prepared(parsed, duckdb=self._session.duckdb), ())
            try:
                if isinstance(parsed, WITH_ROWS):
                    self._describe_portal(portal)
                self._execute(portal, 0)
            finally:
                portal.close()

    # --- extended ---------------------------------------------------------------------------------------------------

    def _parse(self, message: messages.Parse) -> None:
        self._session.activity.works(message.text)
        found = self._read(message.text, duckdb=self._session.duckdb)
        if len(found) != 1:
            raise SQLSyntaxError("cannot insert multiple commands into a prepared statement")
        self._statements.check(found[0])
        if not message.name:
            self._session.prepared.pop("", None)
        prepared = replace(self._statements.prepare(found[0], message.types), text=message.text)
        self._session.add_prepared(message.name, prepared)
        self._connection.send(messages.PARSE_COMPLETE)

    def _bind(self, message: messages.Bind) -> None:
        prepared = self._session.find_prepared(message.statement)
        self._session.activity.works(prepared.text)
        self._statements.check(prepared.parsed)
        portal = self._statements.portal(
            prepared, _values(prepared, message, self._session.settings["timezone"]), message.result_formats
        )
        self._session.add_portal(message.portal, portal)
        self._connection.send(messages.BIND_COMPLETE)

    def _describe_statement(self, prepared: Prepared) -> None:
        self._statements.check(prepared.parsed)
        columns = self._statements.describe(prepared)
        self._connection.send(messages.parameter_description(prepared.types))
        self._connection.send(messages.NO_DATA if columns is None else described(columns, ()))

    # --- portals ----------------------------------------------------------------------------------------------------

    def _describe_portal(self, portal: Portal) -> None:
        """This starts its statement: what is planned is what will be run."""
        self._statements.check(portal.parsed)
        if not isinstance(portal.parsed, WITH_ROWS):
            self._connection.send(messages.NO_DATA)
            return
        with self._running(portal):
            columns = portal.columns()
        self._connection.send(described(columns, portal.formats))

    def _execute(self, portal: Portal, most: int) -> None:
        parsed = portal.parsed
        self._statements.check(parsed)
        with self._running(portal):
            if isinstance(parsed, WITH_ROWS):
                end = send_rows(self._connection, portal, most, self._session.style)
            elif isinstance(parsed, said.Copy):
                end = copy_out(self._connection, portal, parsed, self._session.style)
            elif isinstance(parsed, said.Empty):
                end = messages.EMPTY_QUERY
            else:
                end = messages.command_complete(self._statements.perform(parsed, portal.values))
        self._connection.send(end)

    @contextmanager
    def _running(self, portal: Portal) -> Iterator[None]:
        """What is done here can be cancelled, and ends when the client leaves."""
        session = self._session
        with session.running(portal.cancel), self._watch.watching(self._connection.fileno(), session.left):
            yield


def _values(prepared: Prepared, message: messages.Bind, zone: str) -> list[exp.Expr]:
    """The parameters of a Bind. Raises ProtocolViolation when they are not those of the statement."""
    wanted, given, formats = len(prepared.types), len(message.values), message.formats
    if len(formats) > 1 and len(formats) != given:
        raise ProtocolViolation(f"bind message has {len(formats)} parameter formats but {given} parameters")
    if given != wanted:
        raise ProtocolViolation(
            f'bind message supplies {given} parameters, but prepared statement "{message.statement}" requires {wanted}'
        )
    each = formats if len(formats) == given else [formats[0] if formats else messages.TEXT] * given
    return [
        decode_parameter(type_, form, value, zone)
        for type_, form, value in zip(prepared.types, each, message.values, strict=True)
    ]
