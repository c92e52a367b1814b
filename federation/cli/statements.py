"""Where a statement ends: at a semicolon outside strings, quoted names and comments."""

from __future__ import annotations

import re

TOKEN = re.compile(
    r"""
    (?P<end>;)
    | (?<!\w)[eE]'(?:[^'\\]|''|\\.)*(?P<e>'|\Z)
    | '(?:[^']|'')*(?P<s>'|\Z)
    | "(?:[^"]|"")*(?P<q>"|\Z)
    | (?<!\w)\$(?P<tag>(?:[A-Za-z_]\w*)?)\$.*?(?P<d>\$(?P=tag)\$|\Z)
    | --[^\n]*
    | (?P<comment>/\*)
    | [^;'"$/\-eE]+ | .
    """,
    re.VERBOSE | re.DOTALL,
)
COMMENT = re.compile(r"/\*|\*/")
BLANK = re.compile(r"(?:\s|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*", re.DOTALL)


def split(text: str) -> tuple[list[str], str]:
    """The complete statements, each with its semicolon, and what follows the last one."""
    statements, start, at = [], 0, 0
    while at < len(text):
        token = TOKEN.match(text, at)
        assert token is not None
        at = _comment_end(text, at) if token["comment"] else token.end()
        if token["end"]:
            statements.append(text[start:at].strip())
            start = at
    return [statement for statement in statements if not is_blank(statement.rstrip(";"))], text[start:]


def is_blank(text: str) -> bool:
    """Nothing but white space and comments."""
    return BLANK.fullmatch(text) is not None


def is_finished(text: str) -> bool:
    """Whether Enter should run it: nothing, a backslash command, or complete statements and nothing after them."""
    rest = text if meta_line(text) else split(text)[1]
    return is_blank(rest) or meta_line(rest) is not None


def meta_line(text: str) -> str | None:
    """The backslash command in `text`, if nothing but comments stands before it."""
    blank = BLANK.match(text)
    assert blank is not None
    return text[blank.end() :].strip() if text.startswith("\\", blank.end()) else None


def in_literal(text: str) -> bool:
    """Whether more text would continue a string or a comment rather than name something."""
    at = 0
    while at < len(text):
        token = TOKEN.match(text, at)
        assert token is not None
        at = _comment_end(text, at) if token["comment"] else token.end()
        if at >= len(text):
            open_string = any(token[name] == "" for name in ("e", "s", "d"))
            open_comment = token["comment"] and not text.endswith("*/")
            return open_string or bool(open_comment) or token[0].startswith("--")
    return False


def _comment_end(text: str, at: int) -> int:
    """Comments nest, as in PostgreSQL."""
    depth = 0
    for mark in COMMENT.finditer(text, at):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(text)
