"""`federation query`."""

from __future__ import annotations

import argparse

from federation.cli.destination import destination
from federation.cli.options import read_sql
from federation.cli.run import Statement, planning, run, terminal_look
from federation.location import catalog_path


def query(args: argparse.Namespace) -> int:
    from federation.engine import Engine

    args.sql = read_sql(args.sql)
    statement = Statement(args.sql, dict(args.param) or None, args.timeout, planning(args))
    engine = Engine.open(catalog_path(args.catalog))
    try:
        with destination(args.output) as out:
            run(engine, statement, out, args.format, terminal_look())
    finally:
        engine.close()
    return 0
