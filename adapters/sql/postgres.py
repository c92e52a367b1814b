"""The whitelist of postgres."""

from __future__ import annotations

from adapters.sql.dialect import SourceDialect

POSTGRES = SourceDialect("postgres")
