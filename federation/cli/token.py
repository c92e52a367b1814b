"""`federation token`."""

from __future__ import annotations

import argparse
import datetime
from pathlib import Path

from adapters.errors import ProgrammingError
from catalog.config import read_config
from catalog.names import did_you_mean, nearest
from federation.cli.table import printable
from federation.location import catalog_path


def token(args: argparse.Namespace) -> int:
    from federation.http.state import State, state_folder
    from federation.http.tokens import Tokens

    state = State(state_folder(catalog_path(args.catalog), args.state))
    try:
        tokens = Tokens(state)
        if args.action == "create":
            if args.user is not None:
                _check_user(args.user, catalog_path(args.catalog))
            print(tokens.create(args.name, args.expires, args.user))
        elif args.action == "revoke":
            tokens.revoke(args.name)
        else:
            for each in tokens.list():
                until = _time(each.expires) if each.expires is not None else "for good"
                whose = f"\tfor {printable(each.user)}" if each.user is not None else ""
                print(f"{printable(each.name)}\t{each.state}\tmade {_time(each.created)}\tuntil {until}{whose}")
    finally:
        state.close()
    return 0


def _check_user(name: str, catalog: Path) -> None:
    """Raises ProgrammingError for one that the catalog file does not have."""
    users = read_config(catalog)[0].access.users
    if name not in users:
        raise ProgrammingError(f"there is no user {name!r} in {catalog}", hint=did_you_mean(nearest(name, users)))


def _time(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(sep=" ", timespec="seconds")
