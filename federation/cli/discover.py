"""`federation discover`."""

from __future__ import annotations

import argparse


def discover(args: argparse.Namespace) -> int:
    from federation.discover import discover as discover_source

    print(discover_source(args.uri, args.name), end="")
    return 0
