"""The name of the dialect that SQLAlchemy's own suite runs with."""

from __future__ import annotations

from sqlalchemy.dialects import registry

registry.register("federation.written", "tests.sqlalchemy.written", "WrittenDialect")
