"""How an error is printed: `ERROR 42P01: message`, the line of the statement with a caret, `HINT:`."""

from __future__ import annotations

import os
import traceback

from adapters.errors import Error

BEFORE = 60  # what is shown of a long line, left and right of the position
AFTER = 40


def describe(error: Exception, sql: str | None = None) -> str:
    """Several lines, without a newline at the end."""
    if not isinstance(error, Error):
        return _bug(error)
    source = f" (source {error.source})" if error.source else ""
    lines = [f"ERROR {error.sqlstate}: {error.message}{source}"]
    if sql is not None and error.position is not None:
        lines += _excerpt(sql, error.position)
    if error.hint:
        lines.append(f"HINT: {error.hint}")
    return "\n".join(lines)


def _excerpt(sql: str, position: int) -> list[str]:
    """The line that holds the 1-based character `position`, and a caret below it."""
    index = min(max(position - 1, 0), len(sql))
    start = sql.rfind("\n", 0, index) + 1
    end = sql.find("\n", index)
    line = sql[start : end if end >= 0 else len(sql)].rstrip("\r")
    column = index - start
    first, last = max(0, column - BEFORE), column + AFTER
    lead, tail = ("…" if first else ""), ("…" if last < len(line) else "")
    label = f"LINE {sql.count(chr(10), 0, index) + 1}: "
    before = (label + lead + line[first:column]).replace("\t", " ")
    return [before + line[column:last].replace("\t", " ") + tail, " " * _width(before) + "^"]


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    import wcwidth

    return wcwidth.width(text)


def _bug(error: Exception) -> str:
    """Not one of ours: the text may hold anything, so it is shown only to someone who asks for it."""
    if os.environ.get("FEDERATION_DEBUG"):
        return "".join(traceback.format_exception(error)).rstrip()
    return (
        f"ERROR XX000: an unexpected {type(error).__name__}: this is a bug\n"
        "HINT: please report it with the statement; FEDERATION_DEBUG=1 shows where it happened"
    )
