"""SQLAlchemy's own suite for dialects, over tables of PostgreSQL. Run by `test_suite.py`, in a process of its own."""

from __future__ import annotations

from sqlalchemy.testing.suite import *  # noqa: F403
