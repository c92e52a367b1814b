"""What SET changes in the text form of values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Style:
    """`timezone` is a name that federation.pgwire.encoding.time_zones knows, the others have PostgreSQL's values."""

    timezone: str = "UTC"
    extra_float_digits: int = 1
    bytea_output: str = "hex"
    interval_style: str = "postgres"
