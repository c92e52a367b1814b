"""PostgreSQL's regular expressions as RE2's, or a refusal."""

from __future__ import annotations

import re

from sqlglot import exp

from adapters.errors import NotSupportedError
from federation.pgwire.dialect.casts import Typed
from federation.pgwire.dialect.errors import place
from federation.pgwire.dialect.problems import InvalidPattern

# RE2's own classes are of ASCII only.
_CLASSES = {"w": r"\p{L}\p{N}_", "s": r"\s\x0b\x{85}\p{Z}", "d": "0-9"}
_POSIX = {
    **{"alpha": r"\p{L}", "alnum": r"\p{L}\p{N}", "upper": r"\p{Lu}", "lower": r"\p{Ll}", "digit": "0-9"},
    **{"space": _CLASSES["s"]},
}
_NEGATED = {"W": r"[^\p{L}\p{N}_]", "S": r"[^\s\x0b\x{85}\p{Z}]", "D": "[^0-9]"}
_ESCAPES = {"y": r"\b", "Y": r"\B", "A": r"\A", "Z": r"\z"}
_REFUSED = re.compile(r"\(\?(?!:)|\\[1-9mMc]|\*\*|\[\[[.=]|\[\[:[<>]:\]\]")
_TOKEN = re.compile(r"\\.|\[\^?\]?(?:\[:\w+:\]|\\.|[^\]\\])*\]|.", re.DOTALL)


def pattern(typed: Typed, *, extracts: bool = False) -> str:
    """A literal pattern in RE2's syntax. With `extracts` what is matched matters, not only whether something is.

    Raises NotSupportedError for what RE2 cannot say, and for patterns that are not literals."""
    text = typed.literal
    if text is None:
        raise NotSupportedError("a regular expression must be a literal here", position=place(typed.node))
    if text.startswith("***") or _REFUSED.search(text):
        raise NotSupportedError(
            f"the regular expression {text!r} has no counterpart here",
            hint="lookaround, back references and word ends are not supported",
            position=place(typed.node),
        )
    _check(text, typed)
    if extracts and "|" in text and not _unambiguous(text):
        raise NotSupportedError(
            f"alternatives of which one begins another, in {text!r}, are not supported",
            hint="PostgreSQL takes the longest match, the engine here the first alternative",
            position=place(typed.node),
        )
    return "".join(_token(each) for each in _TOKEN.findall(text))


def _check(text: str, typed: Typed) -> None:
    try:
        re.compile(text.replace("[[:", "[x[:"))  # Python warns of a set in a set
    except re.error as exc:
        if any(word in exc.msg for word in ("missing )", "unbalanced", "unterminated", "nothing to repeat")):
            raise InvalidPattern(f"invalid regular expression: {exc.msg}", position=place(typed.node)) from exc


def _token(token: str) -> str:
    if token.startswith("["):
        inner = re.compile(r"\[:(\w+):\]|\\([wsd])")
        return inner.sub(lambda each: _POSIX.get(each[1], each[0]) if each[1] else _CLASSES[each[2]], token)
    if token.startswith("\\") and len(token) == 2:
        letter = token[1]
        if letter in _CLASSES:
            return f"[{_CLASSES[letter]}]"
        return _NEGATED.get(letter) or _ESCAPES.get(letter, token)
    return token


def _unambiguous(text: str) -> bool:
    """Whether the alternatives are plain texts of which none begins another."""
    branches = [each for group in re.split(r"[()]", text) if "|" in group for each in group.split("|")]
    plain = [branch.strip("^$") for branch in branches]
    if not all(re.fullmatch(r"[\w\s,;:@#%&=/<>!'\"-]+|\\[sdwtn.]", each) for each in plain):
        return False
    return not any(one != two and two.startswith(one) for one in plain for two in plain) and len(set(plain)) == len(
        plain
    )


def options(flags: str, node: exp.Expr) -> tuple[str, bool]:
    """RE2's options for PostgreSQL's flags, and whether "g" is among them. A dot takes a line's end as well."""
    known = {"i": "i", "c": "c", "g": "", "s": "", "n": "", "m": ""}
    if any(flag not in known for flag in flags):
        raise NotSupportedError(f"the flags {flags!r} are not supported", position=place(node))
    if "n" in flags or "m" in flags:
        raise NotSupportedError("newline-sensitive matching is not supported", position=place(node))
    return "".join(known[flag] for flag in flags) + "s", "g" in flags


def similar(text: str, escape: str = "\\") -> str:
    """The regular expression of a SIMILAR TO pattern, which is of the whole text."""
    made, skip = "", False
    for letter in text:
        if skip:
            made, skip = made + re.escape(letter), False
        elif letter == escape:
            skip = True
        else:
            made += {"%": ".*", "_": ".", ".": r"\.", "^": r"\^", "$": r"\$"}.get(letter, letter)
    return made
