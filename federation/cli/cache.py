"""`federation cache`."""

from __future__ import annotations

import argparse

from federation.location import catalog_path


def cache(args: argparse.Namespace) -> int:
    from federation.engine import Engine

    engine = Engine.open(catalog_path(args.catalog))
    try:
        for name in args.name:
            print(f"{name}: {engine.invalidate(name)} fragments")
    finally:
        engine.close()
    return 0
