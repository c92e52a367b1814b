"""`federation cache`."""

from __future__ import annotations

import argparse

from federation.cli.destination import destination
from federation.cli.run import Statement, run, terminal_look
from federation.location import catalog_path

LIST = "SELECT * FROM system.cache"


def cache(args: argparse.Namespace) -> int:
    from federation.engine import Engine

    engine = Engine.open(catalog_path(args.catalog))
    try:
        if args.action is None:
            with destination(None) as out:
                run(engine, Statement(LIST), out, args.format, terminal_look())
        else:
            for name in args.name:
                print(f"{name}: {engine.invalidate(name)} fragments")
    finally:
        engine.close()
    return 0
