"""`federation token`."""

from __future__ import annotations

import argparse
import datetime

from federation.cli.table import printable
from federation.location import catalog_path


def token(args: argparse.Namespace) -> int:
    from federation.http.state import State, state_folder
    from federation.http.tokens import Tokens

    state = State(state_folder(catalog_path(args.catalog), args.state))
    try:
        tokens = Tokens(state)
        if args.action == "create":
            print(tokens.create(args.name, args.expires))
        elif args.action == "revoke":
            tokens.revoke(args.name)
        else:
            for each in tokens.list():
                until = _time(each.expires) if each.expires is not None else "for good"
                print(f"{printable(each.name)}\t{each.state}\tmade {_time(each.created)}\tuntil {until}")
    finally:
        state.close()
    return 0


def _time(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(sep=" ", timespec="seconds")
