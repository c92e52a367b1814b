"""Dotted names: taking them apart, writing them, and finding the nearest known one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from itertools import islice

from sqlglot import exp

_PART = re.compile(r'"((?:[^"]|"")+)"|([^".]+)')

# Comparing a name with this many others takes about 0.1 s; more would make a mistyped name slow.
_COMPARED = 10_000


def split_name(text: str) -> tuple[str, ...] | None:
    """`a.b` or `a."b.c"` as its parts, in exact case; None when the text is not a dotted name."""
    parts: list[str] = []
    at = 0
    while match := _PART.match(text, at):
        quoted, plain = match.groups()
        part = quoted.replace('""', '"') if quoted is not None else plain
        if part != part.strip():
            return None
        parts.append(part)
        at = match.end()
        if at == len(text):
            return tuple(parts)
        if text[at] != ".":
            return None
        at += 1
    return None


def show_name(parts: Sequence[str]) -> str:
    """The name as a statement would write it."""
    return ".".join(exp.to_identifier(part).sql("duckdb") for part in parts)


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """Up to `count` of the known names that look most like `name`, whatever their case."""
    by_folded: dict[str, str] = {}
    for candidate in islice(known, _COMPARED):
        by_folded.setdefault(candidate.casefold(), candidate)
    return [by_folded[match] for match in get_close_matches(name.casefold(), by_folded, count)]


def did_you_mean(names: Iterable[str]) -> str | None:
    """A hint with the first three names, each once."""
    names = list(dict.fromkeys(names))[:3]
    if not names:
        return None
    if len(names) == 1:
        return f"did you mean {names[0]}?"
    return f"did you mean {', '.join(names[:-1])} or {names[-1]}?"
