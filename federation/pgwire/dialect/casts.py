"""Casts with PostgreSQL's meaning: what is taken for a value, what is refused, and how values read as text."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import NamedTuple

from sqlglot import exp

from adapters.errors import ConversionError, InvalidDatetime, NotSupportedError, NumericOutOfRange
from federation.pgwire.dialect.errors import place
from federation.pgwire.dialect.kinds import (
    INTEGERS,
    JSON,
    MAX_DIGITS,
    NUMBERS,
    SCALE,
    TEXTS,
    UNKNOWN,
    Kind,
    common,
    numeric,
)
from federation.pgwire.dialect.problems import CannotCoerce
from federation.pgwire.dialect.templates import cast, filled

_TRUE = "('t', 'tr', 'tru', 'true', 'y', 'ye', 'yes', 'on', '1')"
_FALSE = "('f', 'fa', 'fal', 'fals', 'false', 'n', 'no', 'of', 'off', '0')"
_INTEGER = re.compile(r"\s*([-+]?[0-9]+)\s*")
_DECIMAL = re.compile(r"\s*[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,6})?\s*")
_PLAIN = re.compile(r"([-+]?)([0-9]+(?:\.[0-9]+)?)")
_WORDS_OF_FLOATS = re.compile(r"\s*([-+]?inf|[-+]?infinity|nan)\s*", re.IGNORECASE)
# What DuckDB reads as PostgreSQL does; of other texts it drops parts (10:00 PM is 10:00 to it).
_CLOCK = r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2}(\.[0-9]*)?)?"
_ZONE = r"( ?Z| ?UTC|[-+][0-9]{1,2}(:?[0-9]{2})?)?"
_DAY = r"[0-9]{4,6}-[0-9]{1,2}-[0-9]{1,2}"
_FORMS = {
    "date": f"{_DAY}([ T]{_CLOCK}{_ZONE})?|infinity|-infinity",
    "timestamp": f"{_DAY}([ T]{_CLOCK}{_ZONE})?|infinity|-infinity",
    "timestamptz": f"{_DAY}([ T]{_CLOCK}({_ZONE}| [A-Za-z]+/[A-Za-z_/]+))?|infinity|-infinity",
    "time": _CLOCK,
    "timetz": f"{_CLOCK}{_ZONE}",
}
_OFFSET = re.compile(r"(Z|[-+]\d{1,2}(:?\d\d)?(:\d\d)?|\s[A-Za-z][\w/+-]*)\s*$")
_LIMITS = {"int2": 2**15, "int4": 2**31, "int8": 2**63}
_TEMPORAL = ("date", "timestamp", "timestamptz")

# A text that is no value of the type gets words behind it that make DuckDB refuse it.
_FROM_TEXT = {
    **dict.fromkeys(
        INTEGERS, r"CASE WHEN regexp_full_match($1, '\s*[-+]?\d+\s*') THEN $1 ELSE $1 || ' is no integer' END"
    ),
    **dict.fromkeys(
        ("numeric", "float4", "float8"),
        r"CASE WHEN regexp_full_match($1, '(?i)\s*[-+]?(\d+\.?\d*(e[-+]?\d+)?|\.\d+(e[-+]?\d+)?|inf|infinity|nan)\s*') "
        "THEN $1 ELSE $1 || ' is no number' END",
    ),
    **{
        name: f"CASE WHEN regexp_full_match(trim($1), '{form}') THEN trim($1) ELSE $1 || ' is no {name}' END"
        for name, form in _FORMS.items()
    },
    "bool": f"CASE WHEN lower(trim($1)) IN {_TRUE} THEN 'true' WHEN lower(trim($1)) IN {_FALSE} THEN 'false' "
    "ELSE $1 || ' is no boolean' END",
}
# PostgreSQL writes an exponent from 1e15 on (1e6 of a real), DuckDB later: there its digits are put together anew.
_FLOAT_TEXT = (
    "CASE WHEN isnan($1) THEN 'NaN' WHEN isinf($1) THEN CASE WHEN $1 > 0 THEN 'Infinity' ELSE '-Infinity' END "
    "WHEN abs($1) >= {0} AND NOT contains(CAST($1 AS VARCHAR), 'e') THEN "
    r"regexp_replace(rtrim(regexp_replace(CAST($1 AS VARCHAR), '(\.0)?$|\.', '', 'g'), '0'), '^(-?\d)(\d+)$', '\1.\2') "
    "|| 'e+' || lpad(CAST(length(split_part(CAST(abs($1) AS VARCHAR), '.', 1)) - 1 AS VARCHAR), 2, '0') "
    r"ELSE regexp_replace(CAST($1 AS VARCHAR), '\.0$', '') END"
)
_INTERVAL_TEXT = "replace(CAST($1 AS VARCHAR), 'month', 'mon')"


class Typed(NamedTuple):
    """An expression in DuckDB's words with its kind. `loose`: DuckDB computes it in a type that holds the same values
    and has another name, which a cast puts right where the type shows."""

    node: exp.Expr
    kind: Kind
    loose: bool = False

    @property
    def literal(self) -> str | None:
        """The text of a string whose type is open."""
        return self.node.this if self.kind == UNKNOWN and isinstance(self.node, exp.Literal) else None


def firm(typed: Typed) -> exp.Expr:
    """The expression with its own type."""
    return cast(typed.node, typed.kind.duckdb) if typed.loose else typed.node


class Casts:
    """Casts of one session, whose time zone stands between instants and wall clocks."""

    def __init__(self, zone: str) -> None:
        self.parameters: dict[int, Kind] = {}
        self.zone = None if zone.upper() in ("UTC", "GMT", "ETC/UTC", "ZULU", "UCT") else zone

    def cast(self, typed: Typed, to: Kind, length: int | None = None) -> Typed:
        """An explicit cast. Raises ConversionError, NumericOutOfRange, CannotCoerce, NotSupportedError."""
        node = self._cast(typed, to)
        if length is not None and to.name in ("text", "bpchar"):
            node = filled(f"left($1, {length})", node)
            if to.name == "bpchar":
                node = filled(f"rpad($1, {length}, ' ')", node)
        return Typed(node, self._result(typed, to))

    def settle(self, typed: Typed, kind: Kind) -> Typed:
        """What has an open type as one of this kind; a parameter is noted as one of it, and a number in quotes keeps
        its digits."""
        if isinstance(typed.node, exp.Parameter):
            self.parameters.setdefault(int(typed.node.name), kind)
        if isinstance(typed.node, exp.Null):
            return Typed(typed.node, kind)
        if typed.literal is not None and kind.name.startswith("numeric"):
            kind = kind._replace(precision=MAX_DIGITS, scale=SCALE)
        return self.cast(typed, kind)

    def _result(self, typed: Typed, to: Kind) -> Kind:
        return _own_scale(typed, to) if to.name.startswith("numeric") else to

    def _cast(self, typed: Typed, to: Kind) -> exp.Expr:
        source = typed.kind
        if typed.literal is not None:
            return self.literal(typed.literal, to, typed.node)
        if source == UNKNOWN:
            return cast(typed.node, self._result(typed, to).duckdb)
        if source == to:
            return firm(typed)
        if to.name in TEXTS:
            return self.text(typed)
        if source.is_array or to.is_array:
            return self._array(typed, to)
        if source.name in TEXTS:
            return self._from_text(typed.node, to)
        if source.name in NUMBERS and to.name in NUMBERS:
            return _number(typed, to)
        if source.name in _TEMPORAL and to.name in (*_TEMPORAL, "time", "timetz"):
            return self._temporal(firm(typed), source, to)
        if (source.name, to.name) in _PAIRS:
            return cast(firm(typed), to.duckdb)
        if source.name in ("json", "jsonb"):
            return self._from_json(typed, to)
        raise CannotCoerce(f"cannot cast type {source.shown} to {to.shown}", position=place(typed.node))

    def _array(self, typed: Typed, to: Kind) -> exp.Expr:
        if not (typed.kind.is_array and to.is_array):
            raise CannotCoerce(f"cannot cast type {typed.kind.shown} to {to.shown}", position=place(typed.node))
        to = self._result(typed, to)
        element = self._cast(Typed(exp.column("v"), typed.kind.element), to.element)
        if isinstance(element, exp.Cast) and isinstance(element.this, exp.Column):
            return cast(firm(typed), to.duckdb)
        return filled(f"list_transform($1, lambda v: {element.sql('duckdb')})", firm(typed))

    def _from_text(self, node: exp.Expr, to: Kind) -> exp.Expr:
        if to.name == "timestamptz" and self.zone:
            raise NotSupportedError(
                f"a cast of text to {to.shown} is supported in the time zone UTC only", position=place(node)
            )
        if to.name == "interval":
            raise NotSupportedError("a cast of text to interval takes a literal", position=place(node))
        checked = filled(_FROM_TEXT[to.name], node) if to.name in _FROM_TEXT else node
        if to.name in INTEGERS or to.name == "bytea":
            checked = filled("trim($1)", checked) if to.name in INTEGERS else checked
        if to.name in ("json", "jsonb"):
            return cast(node, "JSON")
        return cast(checked, to.duckdb)

    def _from_json(self, typed: Typed, to: Kind) -> exp.Expr:
        if to.name in ("json", "jsonb"):
            return typed.node
        if typed.kind == JSON or to.name not in (*NUMBERS, "bool"):
            raise CannotCoerce(f"cannot cast type {typed.kind.shown} to {to.shown}", position=place(typed.node))
        return cast(filled("json_extract_string($1, '$')", typed.node), to.duckdb)

    def _temporal(self, node: exp.Expr, source: Kind, to: Kind) -> exp.Expr:
        if self.zone and source.name == "timestamptz":
            node = filled("timezone($1, $2)", exp.Literal.string(self.zone), node)
        elif self.zone and to.name == "timestamptz":
            return filled("timezone($1, CAST($2 AS TIMESTAMP))", exp.Literal.string(self.zone), node)
        if to.name == "timetz" or (source.name == "date" and to.name == "time"):
            raise CannotCoerce(f"cannot cast type {source.shown} to {to.shown}", position=place(node))
        return cast(node, to.duckdb)

    # --- text --------------------------------------------------------------------------------------------------

    def text(self, typed: Typed) -> exp.Expr:
        """The value as PostgreSQL writes it."""
        kind, node = typed.kind, typed.node
        if kind.name in ("text", "unknown", "name"):
            return node
        if kind.name == "bpchar":
            return filled("rtrim($1)", node)
        if kind.name in ("float4", "float8"):
            return filled(_FLOAT_TEXT.replace("{0}", "1e6" if kind.name == "float4" else "1e15"), firm(typed))
        if kind.name == "interval":
            return filled(_INTERVAL_TEXT, node)
        if kind.name == "timestamptz" and self.zone:
            raise NotSupportedError("timestamptz as text is supported in the time zone UTC only", position=place(node))
        if kind.name == "bytea":
            return filled(r"'\x' || lower(hex($1))", node)
        if kind.name in ("json", "jsonb"):
            return filled("CAST($1 AS VARCHAR)", node)
        if kind.is_array:
            return self._array_text(typed)
        return cast(firm(typed), "VARCHAR")

    def _array_text(self, typed: Typed) -> exp.Expr:
        element = self.text(Typed(exp.column("v"), typed.kind.element)).sql("duckdb")
        if typed.kind.element.is_array:
            raise NotSupportedError("nested arrays as text are not supported", position=place(typed.node))
        if typed.kind.element.name not in (*NUMBERS, "bool", "date", "uuid"):
            element = (
                f"CASE WHEN regexp_full_match({element}, '[^\\s,{{}}\"\\\\]+') AND lower({element}) <> 'null' "
                f"THEN {element} "
                f"""ELSE '"' || regexp_replace({element}, '(["\\\\])', '\\\\\\1', 'g') || '"' END"""
            )
        elif typed.kind.element.name == "bool":
            element = "CASE WHEN v THEN 't' ELSE 'f' END"
        return filled(
            f"'{{' || array_to_string(list_transform($1, lambda v: coalesce({element}, 'NULL')), ',') || '}}'",
            firm(typed),
        )

    # --- literals ----------------------------------------------------------------------------------------------

    def literal(self, text: str, to: Kind, at: exp.Expr) -> exp.Expr:
        """A string of open type as a value of a type. Raises ConversionError, NumericOutOfRange."""
        if to.name in TEXTS:
            return at.copy()
        if to.is_array:
            return self._array_literal(text, to, at)
        if to.name in INTEGERS:
            return _integer_literal(text, to, at)
        if to.name == "numeric":
            return _numeric_literal(text, to, at)
        if to.name in ("float4", "float8"):
            _check_float(text, to, at)
        if to.name == "bool":
            return _boolean_literal(text, to, at)
        if to.name == "timestamptz" and self.zone and not _OFFSET.search(text.strip()[10:]):
            local = cast(exp.Literal.string(text), "TIMESTAMP")
            return filled("timezone($1, $2)", exp.Literal.string(self.zone), local)
        if to.name in _FORMS:
            return _temporal_literal(text.strip(), to, self.zone, at)
        if to.name == "bytea":
            return _bytea_literal(text, to, at)
        return cast(exp.Literal.string(text), to.duckdb)

    def _array_literal(self, text: str, to: Kind, at: exp.Expr) -> exp.Expr:
        values = _elements(text)
        if values is None:
            raise ConversionError(f'malformed array literal: "{text}"', position=place(at))
        items = [
            exp.Null() if each is None else self.literal(each, to.element, exp.Literal.string(each)) for each in values
        ]
        to = _own_scale(Typed(exp.Literal.string(text), UNKNOWN), to)
        if to.element.name == "numeric":
            items = [cast(each, to.element.duckdb) for each in items]
        return cast(exp.Array(expressions=items), to.duckdb)


_PAIRS = {
    *(("bool", "int4"), ("int4", "bool"), ("time", "interval"), ("interval", "time"), ("time", "timetz")),
    *(("timetz", "time"),),
}


def _invalid(text: str, to: Kind, at: exp.Expr) -> ConversionError:
    return ConversionError(f'invalid input syntax for type {to.shown}: "{text}"', position=place(at))


def _own_scale(typed: Typed, to: Kind) -> Kind:
    """`::numeric` alone keeps the digits that there are. Raises NumericOutOfRange for too many."""
    if to.precision != MAX_DIGITS or to.scale != SCALE:
        return to
    source = typed.kind
    if isinstance(typed.node, exp.Null):
        return to._replace(scale=0)
    if to.is_array and source.is_array:
        return _own_scale(Typed(typed.node, source.element), to.element).array()
    if to.is_array and typed.literal is not None:
        texts = [each for each in _elements(typed.literal) or [] if each is not None]
        kinds = [_own_scale(Typed(exp.Literal.string(each), UNKNOWN), to.element) for each in texts]
        return common(kinds, "ARRAY").array() if kinds else to
    if typed.literal is not None and _DECIMAL.fullmatch(typed.literal):
        return _exact(Decimal(typed.literal.strip()), typed.node)
    if source.name in INTEGERS or source.name == "numeric":
        return numeric(MAX_DIGITS, source.scale)
    return to


def _exact(value: Decimal, at: exp.Expr) -> Kind:
    scale = max(0, -int(value.as_tuple().exponent))
    if max(value.adjusted() + 1, 0) + scale > MAX_DIGITS:
        raise NumericOutOfRange(
            f"a numeric has more than {MAX_DIGITS} digits", hint="write it as a float8", position=place(at)
        )
    return numeric(MAX_DIGITS, scale)


def _check_float(text: str, to: Kind, at: exp.Expr) -> None:
    if _WORDS_OF_FLOATS.fullmatch(text):
        return
    if not _DECIMAL.fullmatch(text):
        raise _invalid(text, to, at)
    if math.isinf(float(text)) or (float(text) == 0 and Decimal(text.strip()) != 0):
        raise NumericOutOfRange(f'"{text}" is out of range for type {to.shown}', position=place(at))


def _number(typed: Typed, to: Kind) -> exp.Expr:
    node, source = firm(typed), typed.kind
    if to.name == "numeric":
        to = _own_scale(typed, to)
        if source.name in ("float4", "float8"):
            digits = 6 if source.name == "float4" else 15  # what PostgreSQL takes of a float
            node = filled(f"printf('%.{digits}g', CAST($1 AS DOUBLE))", node)
        elif to == source:
            return node
    return cast(node, to.duckdb)


def _integer_literal(text: str, to: Kind, at: exp.Expr) -> exp.Expr:
    found = _INTEGER.fullmatch(text)
    if found is None:
        raise _invalid(text, to, at)
    value = int(found[1])
    if not -_LIMITS[to.name] <= value < _LIMITS[to.name]:
        raise NumericOutOfRange(f'value "{text}" is out of range for type {to.shown}', position=place(at))
    plain = exp.Literal.number(abs(value)) if value >= 0 else exp.Neg(this=exp.Literal.number(abs(value)))
    return cast(plain, to.duckdb) if to.name != "int4" else plain


def _numeric_literal(text: str, to: Kind, at: exp.Expr) -> exp.Expr:
    if not _DECIMAL.fullmatch(text):
        if text.strip().lower() in ("nan", "inf", "infinity", "-inf", "-infinity"):
            raise NotSupportedError(f"numeric has no {text.strip()} here", position=place(at))
        raise _invalid(text, to, at)
    own = _own_scale(Typed(exp.Literal.string(text), UNKNOWN), to)
    plain = _PLAIN.fullmatch(text.strip())
    if plain and len(plain[2]) <= MAX_DIGITS:  # sources take numbers
        number: exp.Expr = exp.Literal.number(plain[2])
        return cast(exp.Neg(this=number) if plain[1] == "-" else number, own.duckdb)
    return cast(exp.Literal.string(text.strip()), own.duckdb)


def _boolean_literal(text: str, to: Kind, at: exp.Expr) -> exp.Expr:
    word = f"'{text.strip().lower()}'"
    if "'" not in text and word in _TRUE:
        return exp.true()
    if "'" not in text and word in _FALSE:
        return exp.false()
    raise _invalid(text, to, at)


_COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d)")
_WITH_ANY_ZONE = {  # which means nothing there; JDBC writes it nevertheless
    "date": re.compile(f"({_DAY}) {_ZONE}", re.IGNORECASE),
    "time": re.compile(f"({_CLOCK}){_ZONE}", re.IGNORECASE),
}
_WORDS = {
    "now": "now()",
    "today": "$0",
    "epoch": "CAST('1970-01-01' AS DATE)",
    "tomorrow": "($0 + 1)",
    "yesterday": "($0 - 1)",
}


def _temporal_literal(text: str, to: Kind, zone: str | None, at: exp.Expr) -> exp.Expr:
    word = text.lower()
    if word in _WORDS and to.name in _TEMPORAL:
        today = f"CAST(timezone('{zone}', now()) AS DATE)" if zone else "current_date"
        return cast(filled(_WORDS[word].replace("$0", today)), to.duckdb)
    if compact := _COMPACT.fullmatch(word):
        text = "-".join(compact.groups())
    if to.name in _WITH_ANY_ZONE and (zoned := _WITH_ANY_ZONE[to.name].fullmatch(text)):
        text = zoned[1]
    if not re.fullmatch(_FORMS[to.name], text, re.IGNORECASE):
        raise InvalidDatetime(
            f'invalid input syntax for type {to.shown}: "{text}"',
            hint="such as 2024-01-31 10:20:30",
            position=place(at),
        )
    if to.name == "date" and len(text) > 10:
        moment = cast(exp.Literal.string(text), "TIMESTAMP")
        return cast(moment, "DATE")
    return cast(exp.Literal.string(text), to.duckdb)


def _bytea_literal(text: str, to: Kind, at: exp.Expr) -> exp.Expr:
    if text.startswith("\\x"):
        try:
            content = bytes.fromhex(text[2:])
        except ValueError:
            raise _invalid(text, to, at) from None
    elif "\\" in text:
        raise NotSupportedError("bytea in escape format is not supported", position=place(at))
    else:
        content = text.encode()
    escaped = "".join(f"\\x{byte:02X}" for byte in content)
    return cast(exp.Literal.string(escaped), "BLOB")


_ITEM = re.compile(
    r'\s*(?:"((?:[^"\\]|\\.)*)"|((?:[^{},"\\\s]|\\.)(?:(?:[^{},"\\]|\\.)*(?:[^{},"\\\s]|\\.))?))\s*(,|$)'
)


def _elements(text: str) -> list[str | None] | None:
    """The elements of `{a,"b",NULL}`; None if it is not of that form."""
    body = text.strip()
    if not (body.startswith("{") and body.endswith("}")):
        return None
    body = body[1:-1]
    if not body.strip():
        return []
    found: list[str | None] = []
    at = 0
    while True:
        item = _ITEM.match(body, at)
        if item is None:
            return None
        quoted, plain, comma = item.groups()
        if quoted is not None:
            found.append(re.sub(r"\\(.)", r"\1", quoted))
        else:
            found.append(None if plain.upper() == "NULL" else re.sub(r"\\(.)", r"\1", plain))
        at = item.end()
        if not comma:
            return found if at == len(body) else None
