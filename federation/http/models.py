"""What requests and answers look like: the source of the OpenAPI document."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue
from typing_extensions import TypeAliasType

from federation.http.config import LONGEST_TIMEOUT
from federation.planner.optimizations import Optimization
from federation.progress import State as RowState


def _whole(text: str) -> str:
    if any("\ud800" <= each <= "\udfff" for each in text):
        raise ValueError("half a surrogate pair is not text")
    return text


Text = Annotated[str, AfterValidator(_whole)]


def _integral(value: object) -> object:
    """1.0 is an integer in JSON."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _digits(text: object) -> object:
    """A number in a URL is written in digits: 1_000, +1 or 1.0 would be read as well."""
    if isinstance(text, str) and not (text.isascii() and text.isdigit()):
        raise ValueError("a number is written in digits")
    return text


Integer = Annotated[int, BeforeValidator(_integral)]
Offset = Annotated[int, Field(ge=0, le=2**63 - 1), BeforeValidator(_digits)]
Limit = Annotated[int, Field(ge=1, le=2**63 - 1), BeforeValidator(_digits)]
Seconds = Annotated[float, Field(ge=0.001, le=LONGEST_TIMEOUT)]
State = Literal["queued", "running", "finished", "failed", "cancelled", "interrupted"]


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class TypedValue(Model):
    """A value with its SQL type: `{"type": "DATE", "value": "2026-01-31"}`. DuckDB casts the text to it."""

    type: Text = Field(min_length=1, max_length=1000)
    value: Text | None


if TYPE_CHECKING:
    Parameter: TypeAlias = TypedValue | bool | int | float | str | list[Any] | None
else:  # mypy does not know the one kind of alias whose recursion pydantic resolves
    Parameter = TypeAliasType("Parameter", TypedValue | bool | int | float | Text | list["Parameter"] | None)


class Options(Model):
    """How the query is planned; `docs/explain.md` names the optimisations."""

    pushdown: bool = True
    disable: list[Annotated[Optimization, Field(strict=False)]] = []


class Statement(Model):
    """`params` is a list for `?` and `$1`, an object for `$name`."""

    sql: Text = Field(min_length=1, description="one query, in DuckDB's dialect", examples=["SELECT 1 AS one"])
    params: list[Parameter] | dict[Text, Parameter] | None = None
    options: Options = Field(default_factory=Options)  # a default would be copied deeply each time


class QueryRequest(Statement):
    max_rows: Integer | None = Field(
        None, ge=0, le=2**63 - 1, description="no more rows than these; `stats.truncated` says whether there were more"
    )
    timeout: Seconds | None = Field(None, description="in seconds")
    max_staleness: float | None = Field(None, ge=0, description="how old, in seconds, rows from the cache may be")
    no_cache: bool = Field(False, description="neither read the cache nor keep anything there")


class ExplainRequest(Statement):
    analyze: bool = Field(False, description="run the query, and add actual figures")
    timeout: Seconds | None = Field(None, description="in seconds")


class ResultColumn(BaseModel):
    name: str
    type: str = Field(description="the SQL type, as DuckDB spells it")
    arrow_type: str


class SourceProgress(BaseModel):
    """What one fragment of a query has brought so far; `bytes` are those of Arrow."""

    source: str
    rows: int
    bytes: int
    done: bool


class SourceFreshness(BaseModel):
    """How old the rows of one source are: its least reliable state, its oldest rows."""

    source: str
    state: RowState
    as_of: datetime = Field(description="when the source was asked for them")


class Stats(BaseModel):
    rows: int
    seconds: float
    truncated: bool = Field(description="whether `max_rows` left rows out")
    sources: list[SourceProgress]
    freshness: list[SourceFreshness] = []


class QueryResult(BaseModel):
    """An answer in JSON. `complete` comes last and is true: a document without it is not a whole answer."""

    query_id: str
    columns: list[ResultColumn]
    rows: list[list[JsonValue]]
    stats: Stats
    complete: Literal[True]


class Fault(BaseModel):
    pointer: str
    detail: str


class Problem(BaseModel):
    """RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: str = ""
    sqlstate: str | None = Field(None, min_length=5, max_length=5)
    position: int | None = Field(None, ge=1, description="in characters of the statement, from 1")
    hint: str | None = None
    source: str | None = None
    retryable: bool | None = None
    query_id: str | None = None
    errors: list[Fault] | None = Field(None, description="every fault of a request of the wrong shape")


class Explained(BaseModel):
    plan: dict[str, Any] = Field(description="see docs/explain.md")
    text: str


class QueryInfo(BaseModel):
    """A query, running or ended a while ago."""

    query_id: str
    user: str | None
    sql: str
    state: State
    created: datetime
    started: datetime | None
    ended: datetime | None
    rows: int
    sources: list[SourceProgress]
    freshness: list[SourceFreshness]
    error: Problem | None


class QueryList(BaseModel):
    queries: list[QueryInfo]
    silent_workers: list[int] = Field([], description="those that did not answer: theirs are missing")
