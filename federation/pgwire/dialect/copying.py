"""COPY: to the client only."""

from __future__ import annotations

from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from federation.pgwire.dialect.grammar import unexpected
from federation.pgwire.dialect.queries import query_of
from federation.pgwire.dialect.statements import Copy, Parsed, Query, Unsupported
from federation.pgwire.dialect.words import Words

_HINT = "COPY (query) TO STDOUT runs here"


def read_copy(words: Words) -> Parsed:
    query = _parenthesized(words) if words.peek() == "(" else _table(words)
    if words.expect("FROM", "TO") == "FROM":
        return Unsupported("0A000", "COPY FROM is not supported: nothing here is writable", _HINT, "COPY")
    if words.accept("STDOUT") is None:
        return Unsupported("0A000", "COPY to files and programs of the server is not supported", _HINT, "COPY")
    words.accept("WITH")
    options = _options(words) if words.accept("(") else _old_options(words)
    return Copy(query, options)


def _parenthesized(words: Words) -> Query:
    words.expect("(")
    tokens: list[Token] = []
    depth = 1
    while True:
        token = words.token()
        depth += (token.token_type is TokenType.L_PAREN) - (token.token_type is TokenType.R_PAREN)
        if depth == 0:
            break
        tokens.append(token)
    if not tokens:
        raise unexpected(token)
    return query_of(tokens, words)


def _table(words: Words) -> Query:
    """COPY t (a, b) means SELECT a, b FROM t."""
    parts = [_identifier(words)]
    while words.accept("."):
        parts.append(_identifier(words))
    columns = _columns(words) if words.peek() == "(" else []
    items: list[exp.Expr] = [exp.Column(this=each) for each in columns] or [exp.Star()]
    names = dict(zip(("this", "db", "catalog"), reversed(parts), strict=False))
    return Query(exp.Select(expressions=items).from_(exp.Table(**names)))


def _columns(words: Words) -> list[exp.Identifier]:
    words.expect("(")
    columns = [_identifier(words)]
    while words.expect(",", ")") == ",":
        columns.append(_identifier(words))
    return columns


def _identifier(words: Words) -> exp.Identifier:
    token = words.next
    name = words.name()
    made = exp.Identifier(this=name, quoted=token is not None and token.token_type is TokenType.IDENTIFIER)
    if token is not None:
        made.meta["start"] = token.start
    return made


def _options(words: Words) -> dict[str, str | tuple[str, ...]]:
    options: dict[str, str | tuple[str, ...]] = {}
    while True:
        name = words.name()
        if words.peek() in (",", ")"):
            options[name] = "true"
        elif words.peek() == "(":
            options[name] = tuple(each.name for each in _columns(words))
        elif words.accept("*"):
            options[name] = ("*",)
        else:
            options[name] = words.value()
        if words.expect(",", ")") == ")":
            return options


def _old_options(words: Words) -> dict[str, str | tuple[str, ...]]:
    """The syntax of before PostgreSQL 9.0, which clients still write: CSV HEADER DELIMITER AS ','."""
    options: dict[str, str | tuple[str, ...]] = {}
    while words.next is not None:
        word = words.expect("BINARY", "CSV", "HEADER", "DELIMITER", "NULL", "QUOTE", "ESCAPE", "FORCE", "ENCODING")
        if word in ("BINARY", "CSV"):
            options["format"] = word.lower()
        elif word == "HEADER":
            options["header"] = "true"
        elif word == "FORCE":
            words.expect("QUOTE")
            options["force_quote"] = ("*",) if words.accept("*") else _names(words)
        else:
            words.accept("AS")
            options[word.lower()] = words.string()
    return options


def _names(words: Words) -> tuple[str, ...]:
    names = [words.name()]
    while words.accept(","):
        names.append(words.name())
    return tuple(names)
