"""The options of COPY … TO STDOUT: PostgreSQL's defaults, and its complaints."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass

from adapters.errors import NotSupportedError, ProgrammingError, SQLSyntaxError

FORMATS = ("text", "csv", "binary")
_NOT_IN_TEXT = frozenset("\\.abcdefghijklmnopqrstuvwxyz0123456789")
_TRUE, _FALSE = ("true", "on", "1"), ("false", "off", "0")
_OF_COPY_FROM = ("force_null", "force_not_null")
_NAMES = frozenset({"format", "delimiter", "null", "header", "quote", "escape", "force_quote", "encoding", "freeze"})


class InvalidCopyOption(ProgrammingError, sqlstate="22023"):
    """An option of COPY has a value that it cannot have, or two do not go together."""


@dataclass(frozen=True, slots=True)
class CopyOptions:
    """`force_quote` are names of columns, or "*" alone for all of them."""

    format: str = "text"
    delimiter: str = "\t"
    null: str = "\\N"
    header: bool = False
    quote: str = '"'
    escape: str = '"'
    force_quote: tuple[str, ...] = ()


def read_copy_options(given: Mapping[str, str | tuple[str, ...]]) -> CopyOptions:
    """Options by their names in lower case. Raises SQLSyntaxError, InvalidCopyOption and NotSupportedError."""
    for name in given:
        if name in _OF_COPY_FROM:
            raise NotSupportedError(f"COPY {name} only available using COPY FROM")
        if name not in _NAMES:
            raise SQLSyntaxError(f'option "{name}" not recognized', hint=f"one of {', '.join(sorted(_NAMES))}")
    force_quote = given.get("force_quote", ())
    text = {name: value for name, value in given.items() if isinstance(value, str)}
    kind = text.get("format", "text").lower()
    if kind not in FORMATS:
        raise InvalidCopyOption(f'COPY format "{kind}" not recognized', hint=f"one of {', '.join(FORMATS)}")
    _check_encoding(text.get("encoding", "UTF8"))
    quote = text.get("quote", '"')
    options = CopyOptions(
        format=kind,
        delimiter=text.get("delimiter", "," if kind == "csv" else "\t"),
        null=text.get("null", "" if kind == "csv" else "\\N"),
        header=_flag("header", text.get("header", "false")),
        quote=quote,
        escape=text.get("escape", quote),
        force_quote=(force_quote,) if isinstance(force_quote, str) else tuple(force_quote),
    )
    _check_mode(options, text)
    _check_characters(options)
    return options


def _flag(name: str, value: str) -> bool:
    if value.lower() == "match":
        raise NotSupportedError(f'cannot use "match" with {name.upper()} in COPY TO')
    if value.lower() not in _TRUE + _FALSE:
        raise SQLSyntaxError(f"{name} requires a Boolean value")
    return value.lower() in _TRUE


def _check_encoding(name: str) -> None:
    try:
        known = codecs.lookup({"unicode": "utf8"}.get(name.lower(), name)).name
    except LookupError:
        raise InvalidCopyOption('argument to option "encoding" must be a valid encoding name') from None
    if known != "utf-8":
        raise NotSupportedError(f"COPY in the encoding {name} is not supported", hint="UTF8")


def _check_mode(options: CopyOptions, given: Mapping[str, str]) -> None:
    """Options that only some formats have."""
    if options.format == "binary":
        for name in ("delimiter", "null"):
            if name in given:
                raise SQLSyntaxError(f"cannot specify {name.upper()} in BINARY mode")
        if options.header:
            raise NotSupportedError("cannot specify HEADER in BINARY mode")
    if options.format != "csv":
        for name in ("quote", "escape"):
            if name in given:
                raise NotSupportedError(f"COPY {name} available only in CSV mode")
        if options.force_quote:
            raise NotSupportedError("COPY force quote available only in CSV mode")


def _check_characters(options: CopyOptions) -> None:
    for name in ("delimiter", "quote", "escape"):
        if len(getattr(options, name).encode()) != 1:
            raise NotSupportedError(f"COPY {name} must be a single one-byte character")
    if options.delimiter in "\r\n":
        raise InvalidCopyOption("COPY delimiter cannot be newline or carriage return")
    if any(each in options.null for each in "\r\n"):
        raise InvalidCopyOption("COPY null representation cannot use newline or carriage return")
    if options.format == "text" and options.delimiter in _NOT_IN_TEXT:
        raise InvalidCopyOption(f'COPY delimiter cannot be "{options.delimiter}"')
    if options.delimiter in options.null:
        raise NotSupportedError("COPY delimiter must not appear in the NULL specification")
    if options.format != "csv":
        return
    if options.delimiter == options.quote:
        raise InvalidCopyOption("COPY delimiter and quote must be different")
    if options.quote in options.null:
        raise NotSupportedError("CSV quote character must not appear in the NULL specification")
