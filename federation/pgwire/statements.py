"""What each kind of statement does in a session: those with rows open an answer, the others are performed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from sqlglot import exp

from adapters.base import CancelToken
from adapters.errors import Error, NotSupportedError, ReadOnlyError, SQLSyntaxError
from federation.pgwire import cursors, transactions
from federation.pgwire.answers import Answer, Columns, text_answer, text_columns
from federation.pgwire.dialect import statements as said
from federation.pgwire.dialect.kinds import of_type
from federation.pgwire.dialect.parameters import oid_of, without_void
from federation.pgwire.explained import explained, plan_columns
from federation.pgwire.messages import TEXT
from federation.pgwire.parameter_values import decode_parameter
from federation.pgwire.portals import Portal
from federation.pgwire.prepared import Prepared
from federation.pgwire.queries import Asked, Queries
from federation.pgwire.session import Session, TransactionFailed, TransactionOpen
from federation.pgwire.settings import SETTINGS, text_of
from federation.pgwire.types import NUMERIC

SHOWN = text_columns("name", "setting", "description")
WITH_ROWS = (said.Query, said.Show, said.Explain, said.Fetch, said.Execute)
_ON = ("true", "on", "1")
ENDING = (said.Commit, said.Rollback, said.RollbackTo)


class Statements:
    """The statements of one session."""

    def __init__(self, session: Session, queries: Queries) -> None:
        self._session = session
        self._queries = queries

    def check(self, parsed: said.Parsed) -> None:
        """Raises TransactionFailed for what cannot run in a transaction that has failed."""
        if self._session.status == "E" and not isinstance(parsed, ENDING):
            raise TransactionFailed(
                "current transaction is aborted, commands ignored until end of transaction block", hint="ROLLBACK"
            )

    def prepare(self, parsed: said.Parsed, known: Sequence[int]) -> Prepared:
        """`known` are the OIDs of the parameters as far as they are, 0 otherwise. Raises what is wrong with the
        statement, and refuses what is not supported: nothing is known of its parameters."""
        if isinstance(parsed, said.Unsupported):
            raise _refusal(parsed)
        if isinstance(parsed, said.Query):
            parsed = without_void(parsed, known)
        query, duckdb = _query_of(parsed), self._session.duckdb
        if query is None:
            return Prepared(parsed, tuple(known), duckdb)
        asked = Asked(query, duckdb=duckdb)
        return Prepared(parsed, tuple(self._queries.parameter_types(self._session, asked, known)), duckdb)

    def describe(self, prepared: Prepared) -> Columns | None:
        """The columns of its rows, without running it; None when it gives none."""
        match prepared.parsed:
            case said.Query() as query:
                nulls = [decode_parameter(each, TEXT, None) for each in prepared.types]
                return self._queries.describe(self._session, Asked(query, nulls, prepared.duckdb))
            case said.Show(name):
                return self._shown(name)
            case said.Explain() as explain:
                return plan_columns(explain.form)
            case said.Fetch(cursor):
                return cursors.find(self._session, cursor).columns()
            case said.Execute(name):
                return self.describe(self._session.find_prepared(name))
        return None

    def portal(self, prepared: Prepared, values: Sequence[exp.Expr], formats: Sequence[int] = ()) -> Portal:
        """`values` are those of its parameters, `formats` as Bind has them."""
        opened = partial(self._open, prepared, values)
        return Portal(prepared.parsed, opened, formats, values=values, text=prepared.text)

    # --- with rows --------------------------------------------------------------------------------------------------

    def _open(self, prepared: Prepared, values: Sequence[exp.Expr], cancel: CancelToken) -> Answer:
        match prepared.parsed:
            case said.Query() as query:
                return self._queries.open(self._session, Asked(query, values, prepared.duckdb), cancel)
            case said.Copy(query):
                return self._queries.open(self._session, Asked(query, values, prepared.duckdb), cancel)
            case said.Show(name):
                return text_answer(self._shown(name), self._settings(name))
            case said.Explain(said.Execute() as execute):
                return self._explain(prepared.parsed, self._executed(execute), cancel)
            case said.Explain(said.Query() as query):
                return self._explain(prepared.parsed, Asked(query, values, prepared.duckdb), cancel)
            case said.Fetch() as fetch:
                return cursors.Fetched(self._session, fetch)
            case said.Execute() as execute:
                return self._queries.open(self._session, self._executed(execute), cancel)
        raise AssertionError(f"{prepared.parsed.tag} has no rows")

    def _shown(self, name: str) -> Columns:
        if name == "all":
            return SHOWN
        setting = SETTINGS.get(name)
        return text_columns(setting.name if setting is not None else name)

    def _settings(self, name: str) -> Iterator[Sequence[str]]:
        if name == "all":
            return ((shown, value, "") for shown, value in self._session.settings.rows())
        return iter([(self._session.settings[name],)])

    def _explain(self, parsed: said.Explain, asked: Asked, cancel: CancelToken) -> Answer:
        analyze, costs = (parsed.options.get(name, usual) in _ON for name, usual in (("analyze", ""), ("costs", "on")))
        explanation = self._queries.explain(self._session, asked, cancel, analyze=analyze, estimate=costs)
        return text_answer(plan_columns(parsed.form), [(value,) for value in explained(explanation, parsed.form)])

    def _executed(self, parsed: said.Execute) -> Asked:
        prepared = self._session.find_prepared(parsed.name)
        if not isinstance(prepared.parsed, said.Query):
            raise NotSupportedError("EXECUTE runs prepared queries only")
        wanted, zone = len(prepared.types), self._session.settings["timezone"]
        if len(parsed.arguments) != wanted:
            raise SQLSyntaxError(
                f'wrong number of parameters for prepared statement "{parsed.name}": '
                f"expected {wanted}, got {len(parsed.arguments)}"
            )
        pairs = zip(parsed.arguments, prepared.types, strict=True)
        return Asked(prepared.parsed, [_argument(value, type_, zone) for value, type_ in pairs], prepared.duckdb)

    # --- without rows -----------------------------------------------------------------------------------------------

    def perform(self, parsed: said.Parsed, bound: Sequence[exp.Expr]) -> str:
        """Do what a statement without rows says; its tag. `bound` are the values of its parameters."""
        session = self._session
        match parsed:
            case said.Unsupported():
                raise _refusal(parsed)
            case said.Set(name, values, local):
                self._set(name, values, local)
            case said.Reset("all"):
                session.settings.reset_all()
            case said.Reset(name):
                self._set(name, None, local=False)
            case said.SetTransaction():
                return transactions.set_transaction(session, parsed)
            case said.Begin():
                return transactions.begin(session, parsed)
            case said.Commit() | said.Rollback():
                return transactions.end(session, parsed)
            case said.Savepoint():
                return transactions.savepoint(session, parsed)
            case said.Release():
                return transactions.release(session, parsed)
            case said.RollbackTo():
                return transactions.rollback_to(session, parsed)
            case said.Declare(query=query, hold=hold):
                inner = Prepared(query, duckdb=self._session.duckdb)
                portal = Portal(
                    query, partial(self._open, inner, bound), [int(parsed.binary)], held=hold, text=query.text
                )
                return cursors.declare(session, parsed, portal)
            case said.Move():
                return cursors.move(session, parsed)
            case said.CloseCursor():
                return cursors.close(session, parsed)
            case said.Prepare(name, types, query):
                session.add_prepared(name, self.prepare(query, [oid_of(of_type(each)) for each in types]))
            case said.Deallocate():
                return self._deallocate(parsed)
            case said.Discard(what):
                self._discard(what)
            case said.Invalidate(name):
                self._queries.invalidate(session, name)
            case said.Listen(channel):
                self._queries.listen(session, channel)
            case said.Unlisten(channel):
                session.mailbox.unlisten(channel)
            case said.Notify():
                raise NotSupportedError("NOTIFY is not supported", hint="CALL system.invalidate('name') announces")
        return parsed.tag

    def _set(self, name: str, values: Sequence[str] | None, local: bool) -> None:
        if local and self._session.status == "I":
            self._session.warn("25P01", "SET LOCAL can only be used in transaction blocks")
            return
        value = None if values is None else text_of(name, values)
        transactions.check_isolation(self._session, name.lower(), value)
        self._session.settings.set(name, value, local=local)

    def _deallocate(self, parsed: said.Deallocate) -> str:
        if parsed.name is None:
            self._session.prepared.clear()
            return "DEALLOCATE ALL"
        self._session.find_prepared(parsed.name)
        del self._session.prepared[parsed.name]
        return parsed.tag

    def _discard(self, what: str) -> None:
        if what != "all":
            return
        if self._session.status != "I":
            raise TransactionOpen("DISCARD ALL cannot run inside a transaction block")
        self._session.close_portals(keep_held=False)
        self._session.prepared.clear()
        self._session.mailbox.unlisten(None)
        self._session.settings.reset_all()


def _refusal(parsed: said.Unsupported) -> Error:
    kind = ReadOnlyError if parsed.sqlstate == ReadOnlyError.sqlstate else NotSupportedError
    return kind(parsed.message, hint=parsed.hint)


def _argument(value: exp.Expr, type_: int, zone: str) -> exp.Expr:
    """An argument of EXECUTE as a value of the parameter's type."""
    if isinstance(value, exp.Null):
        return decode_parameter(type_, TEXT, None)
    if isinstance(value, exp.Literal):
        return decode_parameter(type_, TEXT, value.name.encode(), zone)
    if type_ == NUMERIC:
        return exp.cast(value.copy(), "DECIMAL(38,10)")  # that of a NULL has fewer digits
    typed = decode_parameter(type_, TEXT, None)
    return exp.cast(value.copy(), typed.to) if isinstance(typed, exp.Cast) else value


def _query_of(parsed: said.Parsed) -> said.Query | None:
    """The query whose parameters are those of the statement."""
    if isinstance(parsed, said.Query):
        return parsed
    if isinstance(parsed, said.Copy | said.Declare):
        return parsed.query
    if isinstance(parsed, said.Explain) and isinstance(parsed.query, said.Query):
        return parsed.query
    return None
