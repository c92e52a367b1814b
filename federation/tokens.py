"""A text's tokens, by sqlglot's tokenizers, to which `$1,$` would be the opening of a dollar-quoted string."""

from __future__ import annotations

import re

from sqlglot import tokens
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.dialects.postgres import Postgres
from sqlglot.errors import TokenError
from sqlglot.tokenizer_core import Token, TokenType

from adapters.errors import SQLSyntaxError

# `$1` and `$name`, where no `$` follows: a parameter, or part of a text. While tokens are made, its sign is one that no
# statement holds.
_PARAMETER = re.compile(r"(?<![\w$])\$(?=\w+(?![\w$]))")
_MARK = "\0"


class DuckTokenizer(DuckDB.Tokenizer):
    """DuckDB's."""

    SINGLE_TOKENS = {**DuckDB.Tokenizer.SINGLE_TOKENS, _MARK: TokenType.PARAMETER}  # noqa: RUF012


class PostgresTokenizer(Postgres.Tokenizer):
    """PostgreSQL's. Statements of a session come as tokens too, not as one text after their first word."""

    COMMANDS = set()  # noqa: RUF012
    SINGLE_TOKENS = {**Postgres.Tokenizer.SINGLE_TOKENS, _MARK: TokenType.PARAMETER}  # noqa: RUF012


def tokenize(sql: str, tokenizer: tokens.Tokenizer) -> list[Token]:
    """The tokens of a text without NUL. Raises SQLSyntaxError."""
    marked = _PARAMETER.sub(_MARK, sql)
    try:
        found: list[Token] = tokenizer.tokenize(marked)
    except TokenError as exc:
        message = _restored(str(exc).splitlines()[0])
        raise SQLSyntaxError(f"the statement cannot be read: {message}") from exc
    return found if marked == sql else [_unmarked(token) for token in found]


def _unmarked(token: Token) -> Token:
    if _MARK not in token.text and not token.comments:
        return token
    return Token(
        *(token.token_type, _restored(token.text), token.line, token.col, token.start, token.end),
        comments=[_restored(comment) for comment in token.comments],
    )


def _restored(text: str) -> str:
    return text.replace(_MARK, "$")
