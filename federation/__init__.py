"""Federation answers one SQL query over many systems, where the data are.

    import federation

    with federation.connect("federation.toml") as connection:  # or federation.connect("http://host:8470")
        for row in connection.execute("SELECT …"):
            …

This package is the PEP 249 module: `connect`, the globals, the type objects and the exceptions. Nothing heavy is
imported before the first connection.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from adapters.errors import (
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    Warning,  # PEP 249 fixes the name
)
from federation.dbtypes import (
    BINARY,
    DATETIME,
    NUMBER,
    ROWID,
    STRING,
    Binary,
    Date,
    DateFromTicks,
    Time,
    TimeFromTicks,
    Timestamp,
    TimestampFromTicks,
)

if TYPE_CHECKING:
    from federation.dbapi import Connection

apilevel = "2.0"
threadsafety = 2  # threads may share the module and a connection, not a cursor
paramstyle = "qmark"

__all__ = [
    "BINARY",
    "DATETIME",
    "NUMBER",
    "ROWID",
    "STRING",
    "Binary",
    "DataError",
    "DatabaseError",
    "Date",
    "DateFromTicks",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "Time",
    "TimeFromTicks",
    "Timestamp",
    "TimestampFromTicks",
    "Warning",
    "apilevel",
    "connect",
    "paramstyle",
    "threadsafety",
]


def connect(
    target: str | os.PathLike[str] | None = None,
    *,
    token: str | None = None,
    ca_file: str | os.PathLike[str] | None = None,
    timeout: float | None = None,
    max_staleness: float | None = None,
    no_cache: bool = False,
) -> Connection:
    """Open a server's address, a catalog file or a folder of them; without one, what FEDERATION_CATALOG names, or
    ./federation.toml.

    `timeout` is in seconds and holds for each statement; a cursor may have its own. So do `max_staleness`, in seconds,
    how old rows from the cache may be, and `no_cache`, which reads and keeps nothing there. `token` says to a server
    who asks (`https://name:password@host:8470` does as well), `ca_file` holds the certificate of a private authority.

    Raises InterfaceError for arguments that do not fit, CatalogError for a catalog, OperationalError for a server.
    """
    from federation.dbapi import Connection
    from federation.staleness import Demand
    from federation.targets import open_target

    demand = Demand(max_staleness, no_cache)
    return Connection(open_target(target, token, ca_file), timeout, demand)
