"""SQL cursors: DECLARE, FETCH, MOVE and CLOSE over portals, which share their names with those of the protocol.

Rows stream once, so a cursor goes forward only, as PostgreSQL's do with NO SCROLL.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from adapters.errors import NotSupportedError
from federation.pgwire.dialect.statements import CloseCursor, Declare, Fetch, Move
from federation.pgwire.portals import NotForward, Portal
from federation.pgwire.session import CursorNotFound, NoTransaction, Session


def declare(session: Session, statement: Declare, portal: Portal) -> str:
    """Raises what is wrong with the query: it is started here, and read as it is fetched."""
    if session.status == "I" and not statement.hold:
        raise NoTransaction("DECLARE CURSOR can only be used in transaction blocks")
    if statement.scroll:
        raise NotSupportedError("a cursor cannot go back here", hint="DECLARE … NO SCROLL CURSOR")
    portal.columns()
    session.add_portal(statement.name, portal)
    return statement.tag


def find(session: Session, name: str) -> Portal:
    """Raises CursorNotFound."""
    portal = session.portals.get(name)
    if portal is None:
        raise CursorNotFound(f'cursor "{name}" does not exist')
    return portal


def close(session: Session, statement: CloseCursor) -> str:
    if statement.name is None:
        session.close_portals(keep_held=False)
        return "CLOSE CURSOR ALL"
    find(session, statement.name)
    session.close_portal(statement.name)
    return statement.tag


def move(session: Session, statement: Move) -> str:
    portal = find(session, statement.cursor)
    with session.running(portal.cancel):
        return f"MOVE {sum(batch.num_rows for batch in _rows(portal, statement))}"


class Fetched:
    """The answer of a FETCH. Closing it leaves the cursor as it is."""

    def __init__(self, session: Session, statement: Fetch) -> None:
        self._session = session
        self._portal = find(session, statement.cursor)
        self._statement = statement
        self.columns = self._portal.columns()

    def batches(self) -> Iterator[pa.RecordBatch]:
        with self._session.running(self._portal.cancel):
            yield from _rows(self._portal, self._statement)

    def close(self) -> None:
        pass


def _rows(portal: Portal, statement: Fetch | Move) -> Iterator[pa.RecordBatch]:
    count = statement.count
    match statement.direction:
        case "forward" if count is None or count > 0:
            return portal.take(count)
        case "relative" if count is not None and count > 0:
            return _single(portal, count)
        case "absolute" if count is not None and count > portal.position:
            return _single(portal, count - portal.position)
    raise NotForward("cursor can only scan forward", hint="read it anew, with DECLARE")


def _single(portal: Portal, distance: int) -> Iterator[pa.RecordBatch]:
    """The row that is so many rows further on."""
    for _ in portal.take(distance - 1):
        pass
    yield from portal.take(1)
