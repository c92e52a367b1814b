"""What a connection asks and a cursor reads, wherever the query runs: in this process, or at a server.

`embedded` and `client` are the two sides of it. A cursor never knows which one it has.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from federation.progress import FragmentProgress, Freshness
from federation.staleness import Demand

if TYPE_CHECKING:
    import pyarrow as pa

Parameters: TypeAlias = Sequence[Any] | Mapping[str, Any]
Document: TypeAlias = dict[str, Any]


class Statement(Protocol):
    """One run of one statement, used once. `cancel` and `close` may come from any thread, at any time."""

    @property
    def schema(self) -> pa.Schema:
        """Known once it has started."""

    @property
    def types(self) -> Sequence[str]:
        """DuckDB's names of the columns' types, known once it has started."""

    def start(self, sql: str, parameters: Parameters | None, timeout: float | None, demand: Demand) -> None:
        """Returns when it runs; `timeout`, in seconds, is for the whole run. Raises what is wrong with it."""

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows, once. Raises what failed; what came before that is not a whole answer."""

    def progress(self) -> Sequence[FragmentProgress]: ...

    def freshness(self) -> Sequence[Freshness]:
        """How old the rows are, for each source that was asked so far."""

    def cancel(self) -> None:
        """End it down to its sources: `start` or `batches` raises QueryCancelled. Nothing happens after its end."""

    def close(self) -> None:
        """Free everything that it holds; whoever reads from it has been cancelled before. Idempotent."""


class Catalog(Protocol):
    """What there is to ask about, as the documents of `/v1/catalog` in docs/http.md."""

    def overview(self) -> Document:
        """The sources, the schemas of views, the search path."""

    def tables(self, source: str | None = None, schema: str | None = None) -> Document:
        """The tables of all sources and the views, and which sources failed."""

    def table(self, name: str, schema: str | None = None, source: str | None = None) -> Document:
        """One table or view with its columns and keys. Raises TableNotFound, SchemaNotFound."""


class Backend(Protocol):
    """What is behind a connection. Every method may be called from several threads."""

    @property
    def catalog(self) -> Catalog: ...

    def statement(self) -> Statement: ...

    def close(self) -> None:
        """Idempotent."""


class AsyncStatement(Protocol):
    """As Statement, for one event loop."""

    @property
    def schema(self) -> pa.Schema: ...

    @property
    def types(self) -> Sequence[str]: ...

    async def start(self, sql: str, parameters: Parameters | None, timeout: float | None, demand: Demand) -> None: ...

    def batches(self) -> AsyncIterator[pa.RecordBatch]: ...

    async def progress(self) -> Sequence[FragmentProgress]: ...

    async def freshness(self) -> Sequence[Freshness]: ...

    async def cancel(self) -> None: ...

    async def close(self) -> None: ...


class AsyncBackend(Protocol):
    def statement(self) -> AsyncStatement: ...

    async def close(self) -> None: ...
