"""to_char, to_date, to_timestamp and to_number: their templates, which must be literals, in strftime's words."""

from __future__ import annotations

import re

from sqlglot import exp

from adapters.errors import NotSupportedError
from federation.pgwire.dialect.casts import Typed, firm
from federation.pgwire.dialect.context import Context, operands_of
from federation.pgwire.dialect.errors import no_function, place
from federation.pgwire.dialect.kinds import DATE, NUMBERS, TEXT, TIMESTAMP, TIMESTAMPTZ, UNKNOWN, numeric
from federation.pgwire.dialect.templates import cast, filled

# The longer word first. What strftime says alone is merged into one call.
_WORDS = {
    **{"HH24": "%H", "HH12": "%I", "HH": "%I", "MI": "%M", "SS": "%S", "US": "%f", "YYYY": "%Y", "YY": "%y"},
    **{"IYYY": "%G", "IW": "%V", "DDD": "%j", "DD": "%d", "MM": "%m", "ID": "%u"},
    **{"AM": "%p", "PM": "%p", "Mon": "%b", "Dy": "%a"},
}
_SHORT = {"%H": "%-H", "%I": "%-I", "%M": "%-M", "%S": "%-S", "%d": "%-d", "%m": "%-m", "%j": "%-j", "%y": "%-y"}
_CALLS = {
    "MS": "lpad(CAST(date_part('millisecond', $1) % 1000 AS VARCHAR), 3, '0')",
    "SSSS": "CAST(date_part('hour', $1) * 3600 + date_part('minute', $1) * 60 + date_part('second', $1) AS VARCHAR)",
    "am": "lower(strftime($1, '%p'))",
    "pm": "lower(strftime($1, '%p'))",
    "MON": "upper(strftime($1, '%b'))",
    "mon": "lower(strftime($1, '%b'))",
    "DY": "upper(strftime($1, '%a'))",
    "dy": "lower(strftime($1, '%a'))",
    "D": "CAST(date_part('dow', $1) + 1 AS VARCHAR)",
    "WW": "lpad(CAST((date_part('doy', $1) - 1) // 7 + 1 AS VARCHAR), 2, '0')",
    "W": "CAST((date_part('day', $1) - 1) // 7 + 1 AS VARCHAR)",
    "Q": "CAST(date_part('quarter', $1) AS VARCHAR)",
    "CC": "lpad(CAST(date_part('century', $1) AS VARCHAR), 2, '0')",
    "YYY": "right(strftime($1, '%Y'), 3)",
    "Y": "right(strftime($1, '%Y'), 1)",
}
_NAMES = {"Month": "strftime($1, '%B')", "Day": "strftime($1, '%A')"}
_NAMES.update({name.upper(): f"upper({text})" for name, text in list(_NAMES.items())})
_NAMES.update({name.lower(): f"lower({text})" for name, text in list(_NAMES.items()) if not name.isupper()})
_PATTERN = re.compile(
    '"([^"]*)"|(FM|TM)|(' + "|".join(sorted([*_WORDS, *_CALLS, *_NAMES], key=len, reverse=True)) + r")|([A-Za-z]+)|(.)",
    re.DOTALL,
)
_NUMBER = re.compile(r"(FM)?(S|SG|MI)?([90,G]*)(?:([.D])([90]*))?(S|MI|%)?")


def to_char(t: Context, node: exp.Anonymous) -> Typed:
    value, template = _templated(t, node)
    kind = value.kind
    if kind == UNKNOWN:
        raise no_function("to_char", [kind, TEXT], node)
    if kind.name in NUMBERS:
        return Typed(_number(value, template, node), TEXT)
    if kind.name not in ("date", "timestamp", "timestamptz"):
        raise NotSupportedError(f"to_char of {kind.shown} is not supported", position=place(node))
    moment = t.casts.cast(value, TIMESTAMP).node
    parts = [filled(part, moment) for part in _parts(template, node)]
    return Typed(_joined(parts), TEXT)


def _templated(t: Context, node: exp.Anonymous) -> tuple[Typed, str]:
    """The value, and its template."""
    value, template = operands_of(t, node, 2)
    if template.literal is None:
        raise NotSupportedError(f"the format of {node.name} must be a literal here", position=place(node))
    return value, template.literal


def _joined(parts: list[exp.Expr]) -> exp.Expr:
    made = parts[0] if parts else exp.Literal.string("")
    for part in parts[1:]:
        made = exp.DPipe(this=made, expression=part, safe=True)
    return exp.Paren(this=made) if len(parts) > 1 else made


def _parts(template: str, node: exp.Expr) -> list[str]:
    """DuckDB expressions of `$1`, which together make the text."""
    parts: list[str] = []
    format_, short = "", False
    for quoted, prefix, word, letters, sign in _PATTERN.findall(template):
        if prefix:
            short = True
            continue
        if letters:
            raise NotSupportedError(f"{letters!r} in a format is not supported", position=place(node))
        if word in _WORDS:
            format_ += _SHORT.get(_WORDS[word], _WORDS[word]) if short else _WORDS[word]
        elif word:
            parts += _strftime(format_)
            format_ = ""
            parts.append(_call(word, short))
        else:
            format_ += (quoted or sign).replace("%", "%%")
        short = False
    return parts + _strftime(format_)


def _strftime(format_: str) -> list[str]:
    escaped = format_.replace("'", "''")
    return [f"strftime($1, '{escaped}')"] if format_ else []


def _call(word: str, short: bool) -> str:
    if word in _NAMES:
        return _NAMES[word] if short else f"rpad({_NAMES[word]}, 9, ' ')"
    return f"ltrim({_CALLS[word]}, '0')" if short and word in ("MS", "WW", "CC") else _CALLS[word]


# --- numbers -------------------------------------------------------------------------------------------------------


def _number(value: Typed, template: str, node: exp.Expr) -> exp.Expr:
    found = _NUMBER.fullmatch(template)
    if found is None or not (found[3] or found[5]):
        raise NotSupportedError(f"the format {template!r} of numbers is not supported", position=place(node))
    fill, before, whole, point, fraction, after = found.groups()
    whole, fraction = whole.replace("G", ","), fraction or ""
    if "," in whole and not re.fullmatch(r"[90]{1,3}(,[90]{3})*", whole):
        raise NotSupportedError("commas stand between thousands only", position=place(node))
    places, scale = len(whole.replace(",", "")), len(fraction)
    zeros = len(whole.replace(",", "").lstrip("9")) if "0" in whole else 0
    number = cast(firm(value), "DECIMAL(38, 10)" if value.kind.name != "numeric" else value.kind.duckdb)
    text = filled(f"CAST(CAST(round(abs($1), {scale}) AS DECIMAL(38, {scale})) AS VARCHAR)", number)
    digits = _digits("split_part($1, '.', 1)", zeros, bool(fraction), "," in whole)
    if zeros == 0 and not fraction:
        digits = digits or "'0'"
    sign = _sign(before, after, bool(fill))
    body = f"({sign[0]} || {digits})"
    if not fill:
        body = f"lpad({body}, {len(whole) + (1 if sign[0] != _NO_SIGN else 0)}, ' ')"
    tail = _fraction(fraction, bool(fill)) if point else "''"
    dot = "'.'" if point else "''"
    fits = f"length(ltrim(split_part($1, '.', 1), '0')) > {places}"
    shown = f"{body} || {dot} || {tail} || {sign[1]}"
    if after == "%":
        shown += " || '%'"
    overflow = ("" if fill else " ") + whole.replace("9", "#").replace("0", "#")
    overflow += "." + "#" * scale if point else ""
    return filled(f"CASE WHEN {fits} THEN '{overflow}' ELSE {shown} END", text, number)


_NO_SIGN = "''"


def _sign(before: str | None, after: str | None, fill: bool) -> tuple[str, str]:
    """What stands before the digits, and after them."""
    minus = "CASE WHEN $2 < 0 THEN '-' ELSE '{}' END"
    if before in ("S", "SG"):
        return minus.format("+"), _NO_SIGN
    if after == "S":
        return _NO_SIGN, minus.format("+")
    if after == "MI":
        return _NO_SIGN, minus.format("" if fill else " ")
    return minus.format("" if fill or before == "MI" else " "), _NO_SIGN


def _digits(text: str, zeros: int, has_fraction: bool, grouped: bool) -> str:
    """The whole part: padded with zeros, empty for a zero before a fraction, with commas."""
    shown = f"lpad({text}, CAST(greatest(length({text}), {zeros}) AS INTEGER), '0')" if zeros else text
    if not zeros and has_fraction:
        shown = f"CASE WHEN {text} = '0' THEN '' ELSE {text} END"
    if not grouped:
        return shown
    return f"reverse(rtrim(regexp_replace(reverse({shown}), '(\\d{{3}})', '\\1,', 'g'), ','))"


def _fraction(fraction: str, fill: bool) -> str:
    text = "split_part($1, '.', 2)"
    if not fill:
        return text
    least = fraction.rfind("0") + 1
    return f"regexp_replace({text}, '0{{0,{len(fraction) - least}}}$', '')"


# --- from text -----------------------------------------------------------------------------------------------------


def _strptime(template: str, node: exp.Expr) -> str:
    format_ = ""
    for quoted, prefix, word, letters, sign in _PATTERN.findall(template):
        known = _WORDS.get(word) or {"Month": "%B", "MONTH": "%B", "month": "%B", "MON": "%b", "mon": "%b"}.get(word)
        if letters or (word and known is None):
            raise NotSupportedError(f"{letters or word!r} in a format is not supported", position=place(node))
        if not prefix:
            format_ += known if known else (quoted or sign).replace("%", "%%")
    return format_


def to_date(t: Context, node: exp.Anonymous) -> Typed:
    moment = _read(t, node)
    return Typed(cast(moment, "DATE"), DATE)


def to_timestamp(t: Context, node: exp.Anonymous) -> Typed:
    return Typed(t.casts.cast(Typed(_read(t, node), TIMESTAMP), TIMESTAMPTZ).node, TIMESTAMPTZ)


def _read(t: Context, node: exp.Anonymous) -> exp.Expr:
    given, template = _templated(t, node)
    value = t.casts.settle(given, TEXT)
    if value.kind != TEXT:
        raise no_function(node.name, [value.kind, TEXT], node)
    return filled("strptime($1, $2)", value.node, exp.Literal.string(_strptime(template, node)))


def to_number(t: Context, node: exp.Anonymous) -> Typed:
    given, template = _templated(t, node)
    if not re.fullmatch(r"(FM)?(S|L)?[90,G]*([.D][90]*)?(S)?", template):
        raise NotSupportedError(f"the format {template!r} of numbers is not supported", position=place(node))
    scale = len(re.sub(r"^[^.D]*[.D]?", "", template).rstrip("S"))
    value = t.casts.settle(given, TEXT).node
    kind = numeric(38, scale)
    made = filled(f"CAST(regexp_replace($1, '[^-0-9.]', '', 'g') AS {kind.duckdb})", value)
    return Typed(made, kind)
