"""PostgreSQL's catalog over ours: what tools ask of pg_catalog and information_schema.

1. `snapshot.py` reads what the sources have, beside the queries; `rows.py` says it as rows of PostgreSQL's catalog.
2. `store.py` holds them in a DuckDB of its own, beside the rows that every PostgreSQL has (`data/`, written by
   `generate.py`); `macros.sql` and `views.sql` are PostgreSQL's functions and what they need. Those about the sessions
   of the server are in Python (`sessions.py`).
3. `overlays.py` has such a catalog for each set of roles, of what they grant (`granted.py`).
4. `rewrite.py` turns a query into DuckDB's words (`expressions.py`, `casts.py`) and finds what its columns are
   (`scope.py`); `answer.py` gives the rows in PostgreSQL's types.
"""

from federation.pgwire.overlay.answer import Answer
from federation.pgwire.overlay.overlay import Overlay
from federation.pgwire.overlay.overlays import Overlays
from federation.pgwire.overlay.session import SessionInfo
from federation.pgwire.overlay.sessions import Sessions

__all__ = ["Answer", "Overlay", "Overlays", "SessionInfo", "Sessions"]
