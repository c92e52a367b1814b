"""The whitelist of mysql."""

from __future__ import annotations

from adapters.sql.dialect import SourceDialect

MYSQL = SourceDialect("mysql")
