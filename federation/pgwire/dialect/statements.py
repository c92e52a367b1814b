"""What a client of the PostgreSQL protocol may say, one class per statement. `tag` is what CommandComplete answers; a
statement that gives rows has the number of them added to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, TypeAlias

from sqlglot import exp

from federation.pgwire.dialect.lists import whole


@dataclass(frozen=True)
class Query:
    """`short` is in PostgreSQL's words, identifiers and calls carry their positions in the text; one node stands for
    each long list of parameters. `parameters` are the numbers of the `$n` that it has, in order. `text` is the
    statement alone."""

    short: exp.Query
    text: str = ""
    parameters: tuple[int, ...] = ()
    tag: ClassVar[str] = "SELECT"

    @cached_property
    def tree(self) -> exp.Query:
        """With every member of its lists."""
        return whole(self.short)


@dataclass(frozen=True, slots=True)
class Set:
    """`values` are the items of the list as text; None means DEFAULT. `name` is in lower case."""

    name: str
    values: tuple[str, ...] | None
    local: bool = False
    tag: ClassVar[str] = "SET"


@dataclass(frozen=True, slots=True)
class SetTransaction:
    """SET TRANSACTION, or with `session` the defaults of the transactions that follow. `modes` as in Begin."""

    modes: Mapping[str, str | bool]
    session: bool = False
    tag: ClassVar[str] = "SET"


@dataclass(frozen=True, slots=True)
class Show:
    """`name` is in lower case; "all" shows everything."""

    name: str
    tag: ClassVar[str] = "SHOW"


@dataclass(frozen=True, slots=True)
class Reset:
    name: str
    tag: ClassVar[str] = "RESET"


@dataclass(frozen=True, slots=True)
class Begin:
    """`modes`: "isolation" ("repeatable read", …), "read_only" and "deferrable" (bool), of those that were said."""

    modes: Mapping[str, str | bool] = field(default_factory=dict)
    tag: str = "BEGIN"


@dataclass(frozen=True, slots=True)
class Commit:
    chain: bool = False
    tag: ClassVar[str] = "COMMIT"


@dataclass(frozen=True, slots=True)
class Rollback:
    chain: bool = False
    tag: ClassVar[str] = "ROLLBACK"


@dataclass(frozen=True, slots=True)
class Savepoint:
    name: str
    tag: ClassVar[str] = "SAVEPOINT"


@dataclass(frozen=True, slots=True)
class Release:
    name: str
    tag: ClassVar[str] = "RELEASE"


@dataclass(frozen=True, slots=True)
class RollbackTo:
    name: str
    tag: ClassVar[str] = "ROLLBACK"


@dataclass(frozen=True, slots=True)
class Declare:
    """`scroll` is None when the statement does not say."""

    name: str
    query: Query
    binary: bool = False
    scroll: bool | None = None
    hold: bool = False
    tag: ClassVar[str] = "DECLARE CURSOR"


@dataclass(frozen=True, slots=True)
class Fetch:
    """`direction`: "forward", "backward", "absolute" or "relative"; `count` None is ALL. FIRST is absolute 1, LAST
    absolute -1."""

    cursor: str
    direction: str = "forward"
    count: int | None = 1
    tag: ClassVar[str] = "FETCH"


@dataclass(frozen=True, slots=True)
class Move:
    """As Fetch, without the rows."""

    cursor: str
    direction: str = "forward"
    count: int | None = 1
    tag: ClassVar[str] = "MOVE"


@dataclass(frozen=True, slots=True)
class CloseCursor:
    """None closes all of them."""

    name: str | None
    tag: ClassVar[str] = "CLOSE CURSOR"


@dataclass(frozen=True, slots=True)
class Prepare:
    """`types` are the names of the parameters' types, as they were written."""

    name: str
    types: tuple[exp.DataType, ...]
    statement: Query
    tag: ClassVar[str] = "PREPARE"


@dataclass(frozen=True, slots=True)
class Execute:
    name: str
    arguments: tuple[exp.Expr, ...] = ()
    tag: ClassVar[str] = "EXECUTE"


@dataclass(frozen=True, slots=True)
class Deallocate:
    """None deallocates all of them."""

    name: str | None
    tag: ClassVar[str] = "DEALLOCATE"


@dataclass(frozen=True, slots=True)
class Discard:
    """`what`: "all", "plans", "sequences" or "temp"."""

    what: str

    @property
    def tag(self) -> str:
        return f"DISCARD {self.what.upper()}"


@dataclass(frozen=True, slots=True)
class Explain:
    """`options`: the names in lower case, such as "analyze", with their values ("true" where none is given)."""

    query: Query | Execute
    options: Mapping[str, str]
    tag: ClassVar[str] = "EXPLAIN"

    @property
    def form(self) -> str:
        return self.options.get("format", "text")


@dataclass(frozen=True, slots=True)
class Listen:
    channel: str
    tag: ClassVar[str] = "LISTEN"


@dataclass(frozen=True, slots=True)
class Unlisten:
    """None ends all of them."""

    channel: str | None
    tag: ClassVar[str] = "UNLISTEN"


@dataclass(frozen=True, slots=True)
class Notify:
    channel: str
    payload: str = ""
    tag: ClassVar[str] = "NOTIFY"


@dataclass(frozen=True, slots=True)
class Invalidate:
    """CALL system.invalidate('name'), the one procedure that there is."""

    name: str
    tag: ClassVar[str] = "CALL"


@dataclass(frozen=True, slots=True)
class Copy:
    """COPY … TO STDOUT. `options`: the names in lower case ("format", "header", "delimiter", "null", "quote",
    "escape", "force_quote", "encoding") with their values as text ("true" where none is given); the columns of
    force_quote, or "*", are a tuple."""

    query: Query
    options: Mapping[str, str | tuple[str, ...]]
    tag: ClassVar[str] = "COPY"


@dataclass(frozen=True, slots=True)
class Empty:
    """No statement at all."""

    tag: ClassVar[str] = ""


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A statement that is known and does not run here."""

    sqlstate: str
    message: str
    hint: str | None
    tag: str


Parsed: TypeAlias = (
    Query
    | Set
    | SetTransaction
    | Show
    | Reset
    | Begin
    | Commit
    | Rollback
    | Savepoint
    | Release
    | RollbackTo
    | Declare
    | Fetch
    | Move
    | CloseCursor
    | Prepare
    | Execute
    | Deallocate
    | Discard
    | Explain
    | Listen
    | Unlisten
    | Notify
    | Invalidate
    | Copy
    | Empty
    | Unsupported
)
