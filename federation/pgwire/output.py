"""The rows of a portal on their way to the client: as DataRow messages, or as a COPY."""

from __future__ import annotations

from collections.abc import Sequence

from federation.pgwire import messages
from federation.pgwire.answers import Columns
from federation.pgwire.connection import Connection
from federation.pgwire.copy_format import CopyEncoder
from federation.pgwire.copy_options import read_copy_options
from federation.pgwire.dialect.statements import Copy
from federation.pgwire.encoder import RowEncoder
from federation.pgwire.messages import ProtocolViolation
from federation.pgwire.portals import Portal
from federation.pgwire.style import Style


def described(columns: Columns, formats: Sequence[int]) -> bytes:
    """The RowDescription. Raises ProtocolViolation when there are more or fewer formats than columns."""
    origins = columns.origins or [(0, 0)] * len(columns.types)
    return messages.row_description(columns.schema.names, columns.types, _formats(columns, formats), origins)


def _formats(columns: Columns, formats: Sequence[int]) -> Sequence[int]:
    count = len(columns.types)
    if len(formats) > 1 and len(formats) != count:
        raise ProtocolViolation(f"bind message has {len(formats)} result formats but query has {count} columns")
    return formats if len(formats) == count else [formats[0] if formats else messages.TEXT] * count


def send_rows(connection: Connection, portal: Portal, most: int, style: Style) -> bytes:
    """Up to so many rows (0: all), and what says whether there may be more."""
    columns = portal.columns()
    formats = _formats(columns, portal.formats)
    kept = portal.take_kept() if not most else None
    if kept is not None:
        connection.send(kept.messages(formats, style))
        return messages.command_complete(portal.tag(kept.rows))
    encoder = RowEncoder(columns.schema, columns.types, formats, style)
    rows = 0
    for batch in portal.take(most or None):
        rows += batch.num_rows
        for part in encoder.encode(batch):
            connection.send(part)
    if most and rows == most:
        return messages.PORTAL_SUSPENDED
    return messages.command_complete(portal.tag(rows))


def copy_out(connection: Connection, portal: Portal, statement: Copy, style: Style) -> bytes:
    """All rows as a COPY TO STDOUT; an error in between ends it, as PostgreSQL's does."""
    columns = portal.columns()
    options = read_copy_options(statement.options)
    encoder = CopyEncoder(columns.schema, columns.types, options, style)
    connection.send(messages.copy_out(len(columns.types), int(options.format == "binary")))
    rows = 0
    connection.send(encoder.header())
    for batch in portal.take(None):
        rows += batch.num_rows
        for part in encoder.encode(batch):
            connection.send(part)
    connection.send(encoder.trailer())
    connection.send(messages.COPY_DONE)
    return messages.command_complete(f"COPY {rows}")
