"""LIKE, SIMILAR TO, regular expressions and the functions that take patterns."""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlglot import exp

from adapters.errors import NotSupportedError
from federation.pgwire.dialect.casts import Typed
from federation.pgwire.dialect.context import Context, Handlers
from federation.pgwire.dialect.errors import no_function, no_operator, place
from federation.pgwire.dialect.kinds import BOOL, INT4, TEXT, TEXTS
from federation.pgwire.dialect.regex import options, pattern, similar
from federation.pgwire.dialect.templates import filled, wrapped


def _text(t: Context, typed: Typed, symbol: str, node: exp.Expr) -> exp.Expr:
    if typed.kind.name not in TEXTS:
        raise no_operator(symbol, (typed.kind, TEXT), node)
    return wrapped(t.casts.settle(typed, TEXT).node if typed.kind.name == "unknown" else t.casts.text(typed))


def _like(t: Context, node: exp.Like | exp.ILike, escape: str | None = "\\") -> Typed:
    symbol = "~~*" if isinstance(node, exp.ILike) else "~~"
    if isinstance(node.expression, (exp.Any, exp.All, exp.Tuple)):
        raise NotSupportedError("LIKE ANY is not supported", hint="join several LIKE by OR", position=place(node))
    subject = _text(t, t.expression(node.this), symbol, node)
    wanted = t.expression(node.expression)
    matched: exp.Expr = type(node)(this=subject, expression=_text(t, wanted, symbol, node))
    plain = wanted.literal is not None and (escape is None or escape not in wanted.literal)
    if escape and not plain:
        matched = exp.Escape(this=matched, expression=exp.Literal.string(escape))
    return Typed(exp.Not(this=exp.Paren(this=matched)) if node.args.get("negate") else matched, BOOL)


def _escape(t: Context, node: exp.Escape) -> Typed:
    sign = t.expression(node.expression).literal
    if sign is None or len(sign) > 1:
        raise NotSupportedError("ESCAPE takes one character", position=place(node))
    if isinstance(node.this, exp.SimilarTo):
        return _similar(t, node.this, sign)
    return _like(t, node.this, sign or None)


def _similar(t: Context, node: exp.SimilarTo, escape: str = "\\") -> Typed:
    wanted = t.expression(node.expression).literal
    if wanted is None:
        raise NotSupportedError("SIMILAR TO takes a literal here", position=place(node))
    subject = _text(t, t.expression(node.this), "SIMILAR TO", node)
    return Typed(filled("regexp_full_match($1, $2, 's')", subject, exp.Literal.string(similar(wanted, escape))), BOOL)


def _matches(flags: str) -> Callable[[Context, exp.Binary], Typed]:
    def handler(t: Context, node: exp.Binary) -> Typed:
        subject = _text(t, t.expression(node.this), "~", node)
        wanted = exp.Literal.string(pattern(t.expression(node.expression)))
        return Typed(filled(f"regexp_matches($1, $2, '{flags}')", subject, wanted), BOOL)

    return handler


def _starts(t: Context, node: exp.StartsWith) -> Typed:
    subject, start = (_text(t, t.expression(each), "^@", node) for each in (node.this, node.expression))
    return Typed(filled("starts_with($1, $2)", subject, start), BOOL)


# --- functions -----------------------------------------------------------------------------------------------------


def _arguments(t: Context, node: exp.Anonymous, flags_at: int, extracts: bool) -> tuple[exp.Expr, exp.Expr, str, bool]:
    operands = [t.expression(each) for each in node.expressions]
    if len(operands) < flags_at:
        raise no_function(node.name.lower(), [each.kind for each in operands], node)
    flags = ""
    if len(operands) > flags_at:
        found = operands[flags_at].literal
        if found is None or len(operands) > flags_at + 1:
            raise NotSupportedError(f"{node.name} with these arguments is not supported", position=place(node))
        flags = found
    chosen, every = options(flags, node)
    subject = _text(t, operands[0], node.name, node)
    return subject, exp.Literal.string(pattern(operands[1], extracts=extracts)), chosen, every


def _replace(t: Context, node: exp.Anonymous) -> Typed:
    subject, wanted, flags, every = _arguments(t, node, 3, extracts=True)
    by = t.expression(node.expressions[2])
    if by.literal is None or "\\&" in by.literal:
        raise NotSupportedError("the replacement must be a literal without \\& here", position=place(node))
    made = filled(
        f"regexp_replace($1, $2, $3, '{flags}{'g' if every else ''}')", subject, wanted, exp.Literal.string(by.literal)
    )
    return Typed(made, TEXT)


def _match(t: Context, node: exp.Anonymous) -> Typed:
    subject, wanted, flags, every = _arguments(t, node, 2, extracts=True)
    groups = re.compile(r"(?<!\\)\((?!\?:)").findall(wanted.name)
    if every:
        raise NotSupportedError("regexp_match does not support the global option", position=place(node))
    items = ", ".join(f"nullif(regexp_extract($1, $2, {i + 1}, '{flags}'), '')" for i in range(len(groups)))
    whole = f"regexp_extract($1, $2, 0, '{flags}')"
    made = filled(f"CASE WHEN regexp_matches($1, $2, '{flags}') THEN [{items or whole}] END", subject, wanted)
    return Typed(made, TEXT.array())


def substring(t: Context, subject: Typed, wanted: Typed, node: exp.Expr) -> Typed:
    """`substring(text FROM pattern)`: the first group, or all that matched; NULL if nothing did."""
    found = exp.Literal.string(pattern(wanted, extracts=True))
    group = 1 if re.search(r"(?<!\\)\((?!\?:)", found.name) else 0
    made = filled(
        f"CASE WHEN regexp_matches($1, $2, 's') THEN regexp_extract($1, $2, {group}, 's') END",
        _text(t, subject, "substring", node),
        found,
    )
    return Typed(made, TEXT)


def _one(template: str, kind: object, extracts: bool) -> Callable[[Context, exp.Anonymous], Typed]:
    def handler(t: Context, node: exp.Anonymous) -> Typed:
        subject, wanted, flags, _ = _arguments(t, node, 2, extracts)
        return Typed(filled(template.replace("$flags", f"'{flags}'"), subject, wanted), kind)  # type: ignore[arg-type]

    return handler


_FIRST = "CASE WHEN regexp_matches($1, $2, $flags) THEN regexp_extract($1, $2, 0, $flags) END"
FUNCTIONS: dict[str, Callable[[Context, exp.Anonymous], Typed]] = {
    "regexp_replace": _replace,
    "regexp_match": _match,
    "regexp_like": _one("regexp_matches($1, $2, $flags)", BOOL, extracts=False),
    "regexp_count": _one("CAST(len(regexp_extract_all($1, $2, 0, $flags)) AS INTEGER)", INT4, extracts=True),
    "regexp_substr": _one(_FIRST, TEXT, extracts=True),
    "regexp_split_to_array": _one("regexp_split_to_array($1, $2, $flags)", TEXT.array(), extracts=True),
}
HANDLERS: Handlers = {
    exp.Like: _like,
    exp.ILike: _like,
    exp.Escape: _escape,
    exp.SimilarTo: _similar,
    exp.RegexpLike: _matches("s"),
    exp.RegexpILike: _matches("is"),
    exp.StartsWith: _starts,
}
