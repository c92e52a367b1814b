"""Results as bytes, in the formats that the command line and the HTTP face share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pyarrow as pa


class Sink(Protocol):
    """What a writer writes to."""

    def write(self, data: bytes, /) -> int: ...

    def flush(self) -> None: ...


class Writer(Protocol):
    """Writes one result. `end` completes it; a result that failed is left without its end."""

    def write(self, batch: pa.RecordBatch) -> None: ...

    def end(self) -> None: ...
