"""The values of command-line options."""

from __future__ import annotations

import argparse
import re
import sys

from adapters.errors import Error

SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
NAME = re.compile(r"[A-Za-z_]\w*")


class NotUtf8(Error, sqlstate="22021"):
    """A statement that is not UTF-8."""


def read_sql(argument: str | None) -> str:
    """The argument itself; standard input when there is none, or for `-`."""
    if argument is not None and argument != "-":
        return argument
    if argument is None and sys.stdin.isatty():
        print("SQL from standard input, up to Ctrl-D:", file=sys.stderr)
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise NotUtf8(f"standard input is not UTF-8 (byte {exc.start})") from exc


def parameter(text: str) -> tuple[str, str]:
    """`name=value`; the value is text, which takes the type that its place in the statement asks for."""
    name, equals, value = text.partition("=")
    if not equals or not NAME.fullmatch(name):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form name=value")
    return name, value


def port(text: str) -> int:
    """Up to 65535; 0 is one that is free."""
    if not re.fullmatch(r"\d{1,5}", text) or not int(text) < 1 << 16:
        raise argparse.ArgumentTypeError(f"{text!r} is not the number of a port")
    return int(text)


def count(text: str) -> int:
    """1 or more."""
    if not re.fullmatch(r"\d{1,9}", text) or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above zero")
    return int(text)


def staleness(text: str) -> float:
    """Seconds, of which there may be none."""
    return 0.0 if re.fullmatch(r"0+(ms|s|m|h|d|)", text) else duration(text)


def duration(text: str) -> float:
    """Seconds from `30`, `1.5s`, `200ms`, `5m`, `1h`, `90d`."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|)", text)
    if not found or float(found[1]) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration such as 30s, 5m or 1h")
    return float(found[1]) * SECONDS[found[2]]
