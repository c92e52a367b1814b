"""DECLARE, FETCH, MOVE and CLOSE."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlglot.tokenizer_core import TokenType

from federation.pgwire.dialect.queries import read_query
from federation.pgwire.dialect.statements import CloseCursor, Declare, Fetch, Move, Parsed
from federation.pgwire.dialect.words import Words

_PLACES = {"FIRST": ("absolute", 1), "LAST": ("absolute", -1), "NEXT": ("forward", 1), "PRIOR": ("backward", 1)}


def read_declare(words: Words) -> Parsed:
    name = words.name()
    binary = False
    scroll: bool | None = None
    while option := words.accept("BINARY", "ASENSITIVE", "INSENSITIVE", "SCROLL", "NO"):
        if option == "NO":
            words.expect("SCROLL")
            scroll = False
        elif option == "SCROLL":
            scroll = True
        elif option == "BINARY":
            binary = True
    words.expect("CURSOR")
    hold = words.accept("WITH", "WITHOUT")
    if hold:
        words.expect("HOLD")
    words.expect("FOR")
    return Declare(name, read_query(words), binary, scroll, hold == "WITH")


def read_fetch(words: Words) -> Parsed:
    direction, count = _direction(words)
    return Fetch(_cursor(words), direction, count)


def read_move(words: Words) -> Parsed:
    direction, count = _direction(words)
    return Move(_cursor(words), direction, count)


def read_close(words: Words) -> Parsed:
    return CloseCursor(None if words.accept("ALL") else words.name())


def _cursor(words: Words) -> str:
    words.accept("FROM", "IN")
    return words.name()


def _direction(words: Words) -> tuple[str, int | None]:
    if place := words.accept(*_PLACES):
        return _PLACES[place]
    if way := words.accept("ABSOLUTE", "RELATIVE"):
        return way.lower(), words.integer()
    direction = (words.accept("FORWARD", "BACKWARD") or "FORWARD").lower()
    if words.accept("ALL"):
        return direction, None
    number = words.next is not None and (words.next.token_type is TokenType.NUMBER or words.peek() in ("-", "+"))
    count = words.integer() if number else 1
    if count < 0:
        return ("backward" if direction == "forward" else "forward"), -count
    return direction, count


READERS: Mapping[str, Callable[[Words], Parsed]] = {
    "DECLARE": read_declare,
    "FETCH": read_fetch,
    "MOVE": read_move,
    "CLOSE": read_close,
}
