"""`federation password`."""

from __future__ import annotations

import argparse
import getpass
import sys

from adapters.errors import DataError
from catalog.scram import Verifier


def password(_: argparse.Namespace) -> int:
    """From the terminal twice, or a line of standard input."""
    if sys.stdin.isatty():
        text = getpass.getpass("Password: ")
        if getpass.getpass("Once more: ") != text:
            raise DataError("the two passwords differ")
    else:
        text = sys.stdin.readline().rstrip("\r\n")
    if not text:
        raise DataError("the password is empty")
    print(f'password = "{Verifier.make(text)}"')
    return 0
