"""From text to one read-only query tree, with limits at the door.

1. The tokens are counted before anything is parsed: the parser recurses, and its cost grows with nesting.
2. sqlglot parses DuckDB's dialect, which takes PostgreSQL's spellings too.
3. Exactly one statement, and only a query.
"""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Sequence

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ParseError
from sqlglot.tokenizer_core import Token, TokenType

from adapters.errors import NotSupportedError, NumericOutOfRange, ReadOnlyError, SQLSyntaxError, StatementTooComplex
from federation.tokens import DuckTokenizer, tokenize

# sqlglot warns on the log about every statement that it does not know; such a statement is an error here.
logging.getLogger("sqlglot").setLevel(logging.ERROR)

_NO_TEXT = re.compile("[\0\ud800-\udfff]")
MAX_CHARACTERS = 1_000_000
MAX_TOKENS = 200_000
MAX_NESTING = 100
MAX_OPERATORS = 1_000  # each may be a level of the tree
MAX_PIVOTS = 16  # each is taken apart by the parser at more than linear cost
MAX_LAMBDAS = 8  # inside each other: what DuckDB needs to type them doubles with each
MAX_DIGITS = 400  # a double has no more before its point

_OPENING = {TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE, TokenType.CASE}
_CLOSING = {TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE, TokenType.END}
_OPERATORS = {
    TokenType.AND,
    TokenType.OR,
    TokenType.NOT,
    TokenType.PLUS,
    TokenType.STAR,
    TokenType.SLASH,
    TokenType.DIV,
    TokenType.MOD,
    TokenType.DPIPE,
    TokenType.TILDE,
    TokenType.DCOLON,
    TokenType.L_BRACKET,
    TokenType.UNION,
    TokenType.EXCEPT,
    TokenType.INTERSECT,
    TokenType.JOIN,
    TokenType.AMP,
    TokenType.PIPE,
    TokenType.CARET,
    TokenType.ARROW,
    TokenType.DARROW,
    TokenType.IS,
    TokenType.RLIKE,  # PostgreSQL's ~
}
# One level each as well: `- - x`, `NOT NOT x`, `x[1][2]`, `f(x).g()`. The parser takes more than linear time for them.
_PREFIXES = (TokenType.NOT, TokenType.DASH, TokenType.PLUS, TokenType.TILDE, TokenType.RLIKE)
_LINKS = {
    *itertools.product(_PREFIXES, _PREFIXES),
    *itertools.product((TokenType.R_PAREN, TokenType.R_BRACKET), (TokenType.DOT, TokenType.L_BRACKET)),
}
_BREAKS = {
    *(TokenType.COMMA, TokenType.AND, TokenType.OR, TokenType.SELECT, TokenType.FROM, TokenType.WHERE, TokenType.ON),
    *(TokenType.WHEN, TokenType.THEN, TokenType.ELSE, TokenType.SEMICOLON),
}
# They would tell where the local DuckDB keeps its files.
_ABOUT_THE_MACHINE = frozenset({"current_setting", "getenv", "getvariable"})
_WRITES = (
    exp.Insert,
    exp.Update,
    exp.Delete,
    exp.Merge,
    exp.Create,
    exp.Drop,
    exp.Alter,
    exp.TruncateTable,
    exp.Copy,
    exp.Attach,
    exp.Detach,
    exp.Comment,
    exp.Grant,
    exp.Analyze,
)


def parse(sql: str) -> exp.Query:
    """The query as a tree, identifiers carrying their positions. Raises SQLSyntaxError, ReadOnlyError,
    StatementTooComplex or NotSupportedError."""
    check_length(sql)
    check_characters(sql)
    tokens = tokenize(sql, DuckTokenizer(dialect="duckdb"))
    check_size(tokens)
    if sum(token.token_type in (TokenType.PIVOT, TokenType.UNPIVOT) for token in tokens) > MAX_PIVOTS:
        raise StatementTooComplex(f"the statement has more than {MAX_PIVOTS} PIVOTs", hint="split it into views")
    try:
        parser = Dialect.get_or_raise("duckdb").parser()
        statements = [each for each in parser.parse(_numbered(tokens), sql) if each is not None]
    except ParseError as exc:
        raise syntax_error(sql, exc) from exc
    except RecursionError as exc:
        raise StatementTooComplex("the statement is nested too deeply", hint="split it into CTEs or views") from exc
    if len(statements) != 1:
        raise SQLSyntaxError(
            f"expected one statement, found {len(statements)}", hint="send the statements one at a time"
        )
    query = only_query(statements[0])
    for call in query.find_all(exp.Anonymous):
        if call.name.lower() in _ABOUT_THE_MACHINE:
            raise NotSupportedError(f"the function {call.name} is not available here")
    return query


def check_length(sql: str) -> None:
    if len(sql) > MAX_CHARACTERS:
        raise StatementTooComplex(
            f"the statement has {len(sql):,} characters, {MAX_CHARACTERS:,} are allowed",
            hint="put long lists of values into a table or a file source and join it",
        )


def check_characters(sql: str) -> None:
    """Half a surrogate pair has no bytes, and many a driver ends a text at NUL."""
    found = _NO_TEXT.search(sql)
    if found is not None:
        raise SQLSyntaxError(
            f"the statement holds U+{ord(found[0]):04X}, which is not text", position=found.start() + 1
        )


def _numbered(tokens: Sequence[Token]) -> list[Token]:
    """Each `?` as `$1`, `$2`, …: only the tokens still have the order of the text."""
    numbered: list[Token] = []
    count = 0
    for token in tokens:
        if token.token_type is not TokenType.PLACEHOLDER:
            numbered.append(token)
            continue
        count += 1
        for kind, text in ((TokenType.PARAMETER, "$"), (TokenType.NUMBER, str(count))):
            numbered.append(Token(kind, text, line=token.line, col=token.col, start=token.start, end=token.end))
    return numbered


def check_size(tokens: Sequence[Token]) -> None:
    """Raises StatementTooComplex for what the parser would take too long for, or too deep a stack."""
    if len(tokens) > MAX_TOKENS:
        raise StatementTooComplex(f"the statement has {len(tokens):,} tokens, {MAX_TOKENS:,} are allowed")
    depth = operators = chain = 0
    previous: TokenType | None = None
    for token in tokens:
        kind = token.token_type
        if kind in _OPENING:
            depth += 1
        elif kind in _CLOSING:
            depth -= 1
        if kind in _OPERATORS or (kind is TokenType.DASH and previous is not TokenType.COMMA):
            operators += 1
        if kind in _BREAKS:
            chain = 0
        elif kind is TokenType.DCOLON or (previous, kind) in _LINKS:
            chain += 1
        if max(depth, chain) > MAX_NESTING:
            raise StatementTooComplex(
                f"the statement is nested deeper than {MAX_NESTING} levels",
                hint="split it into CTEs or views",
                position=token.start + 1,
            )
        if kind is TokenType.NUMBER and len(token.text) > MAX_DIGITS:
            raise NumericOutOfRange(f"a number has {len(token.text):,} digits", position=token.start + 1)
        previous = kind
    if operators > MAX_OPERATORS:
        raise StatementTooComplex(
            f"the statement has {operators:,} operators, {MAX_OPERATORS:,} are allowed",
            hint="write many alternatives of one column as column IN (…)",
        )


def syntax_error(sql: str, exc: ParseError) -> SQLSyntaxError:
    """The error for a failure of sqlglot's parser, with the position in the text."""
    if not exc.errors:
        return SQLSyntaxError(str(exc).splitlines()[0])
    first = exc.errors[0]
    near = first.get("highlight")
    message = (first.get("description") or "syntax error").rstrip(".")
    return SQLSyntaxError(
        f'syntax error at or near "{near}": {message}' if near else f"syntax error: {message}",
        position=_offset(sql, first.get("line"), first.get("col"), near),
    )


def _offset(sql: str, line: int | None, column: int | None, near: str | None) -> int | None:
    """sqlglot counts lines from 1 and gives the column of a token's end."""
    if line is None or column is None:
        return None
    start = sum(len(each) for each in sql.splitlines(keepends=True)[: line - 1])
    return max(1, start + column - len(near or "") + 1)


def _check_lambdas(query: exp.Query) -> None:
    for node in query.find_all(exp.Lambda):
        depth = 0
        outer: exp.Expr | None = node
        while outer is not None:
            depth += 1
            outer = outer.find_ancestor(exp.Lambda)
        if depth > MAX_LAMBDAS:
            raise StatementTooComplex(f"lambdas are nested deeper than {MAX_LAMBDAS} levels")


def only_query(statement: exp.Expr) -> exp.Query:
    """The statement, if it is a query that only reads."""
    if isinstance(statement, exp.Values):
        statement = exp.select("*").from_(statement)
    if isinstance(statement, exp.Query):
        for node in statement.find_all(*_WRITES, exp.Into, exp.Lock):
            raise ReadOnlyError(f"{node.key.upper()} inside a query would write or lock", hint="only queries run here")
        _check_lambdas(statement)
        return statement
    if isinstance(statement, _WRITES):
        raise ReadOnlyError(
            f"{statement.key.upper()} would write, and no source is writable",
            hint="only SELECT, VALUES and WITH run here",
        )
    word = statement.name.upper() if isinstance(statement, exp.Command) else statement.key.upper()
    raise NotSupportedError(f"{word} is not supported", hint="only SELECT, VALUES and WITH run here")
