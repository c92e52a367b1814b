"""PostgreSQL's grammar by sqlglot, with calls left as they were written.

sqlglot's parser gives many functions a meaning of its own, which is not always PostgreSQL's (`to_char` loses what
strftime lacks, `json_agg` its NULLs). So all calls but those with keywords between their arguments, and those that
mean the same everywhere, come out as `exp.Anonymous`. The parser is compiled and cannot be extended: names that it
would look up get a mark in the tokens, which is taken off in the tree.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp
from sqlglot.dialects.postgres import Postgres
from sqlglot.errors import ParseError
from sqlglot.parsers.postgres import PostgresParser
from sqlglot.tokenizer_core import Token, TokenType

from adapters.errors import SQLSyntaxError, StatementTooComplex
from federation.parse import check_characters, check_length, check_size, syntax_error
from federation.tokens import PostgresTokenizer
from federation.tokens import tokenize as tokens_of

_MARK = "\ue000"
_KEPT = {
    *("CAST", "EXTRACT", "OVERLAY", "POSITION", "SUBSTRING", "TRIM", "COALESCE", "NULLIF", "ARRAY", "EXISTS"),
    *("COUNT", "AND", "OR", "XMLELEMENT", "LIKE", "CASE", "COLLATE"),
}
_MARKED = {*PostgresParser.FUNCTIONS, *PostgresParser.FUNCTION_PARSERS, "IF"} - _KEPT
_TYPE_WORDS = {TokenType.OBJECT_IDENTIFIER, TokenType.NAME, TokenType.PSEUDO_TYPE, TokenType.MONEY}
_BEFORE_ARGUMENT = {TokenType.L_PAREN, TokenType.COMMA, TokenType.DISTINCT}
_NO_LABELS = {TokenType.SELECT, TokenType.NOT}  # for the parser; every keyword is one after AS
_BEFORE_TYPE = {TokenType.DCOLON, TokenType.ALIAS}


def tokenize(text: str) -> list[Token]:
    """The tokens of a text, which is within the limits. Raises SQLSyntaxError, StatementTooComplex."""
    check_length(text)
    check_characters(text)
    tokens = tokens_of(text, PostgresTokenizer(dialect="postgres"))
    check_size(tokens)
    return tokens


def parse_tokens(tokens: Sequence[Token], text: str) -> exp.Expr:
    """The tree of one statement or expression; `text` is what the tokens count in. Raises SQLSyntaxError,
    StatementTooComplex."""
    try:
        parsed = Postgres().parser().parse(_prepared(tokens), text)
    except ParseError as exc:
        error = syntax_error(text, exc)
        error.message = error.message.partition(": ")[0]  # the rest is about sqlglot's classes
        raise error from exc
    except TypeError as exc:  # the parser puts together what is not there
        raise SQLSyntaxError("syntax error", position=tokens[0].start + 1 if tokens else None) from exc
    except RecursionError as exc:
        raise StatementTooComplex("the statement is nested too deeply", hint="split it into CTEs or views") from exc
    if len(parsed) != 1 or parsed[0] is None:
        raise unexpected(tokens[0] if tokens else None)
    return _unmarked(parsed[0])


def unexpected(token: Token | None) -> SQLSyntaxError:
    """PostgreSQL's words for a token where it cannot stand; None is the end of the statement."""
    if token is None:
        return SQLSyntaxError("syntax error at end of input")
    return SQLSyntaxError(f'syntax error at or near "{token.text}"', position=token.start + 1)


def _prepared(tokens: Sequence[Token]) -> list[Token]:
    prepared: list[Token] = []
    before: TokenType | None = None
    for place, token in enumerate(tokens):
        after = tokens[place + 1].token_type if place + 1 < len(tokens) else None
        if after is TokenType.ARROW and before in _BEFORE_ARGUMENT:
            # A sign that means nothing: the parser takes `f(a -> 'b')` for a lambda.
            prepared.append(_like(token, TokenType.PLUS, "+"))
        if after is TokenType.L_PAREN and before not in _BEFORE_TYPE and token.text.upper() in _MARKED:
            prepared.append(_like(token, token.token_type, token.text + _MARK))
        elif after is TokenType.L_BRACKET and token.token_type in _TYPE_WORDS:
            prepared.append(_like(token, TokenType.VAR, token.text + _MARK))  # the parser knows no arrays of these
        elif before is TokenType.ALIAS and token.token_type in _NO_LABELS and after is not TokenType.VAR:
            prepared.append(_like(token, TokenType.VAR, token.text))
        else:
            prepared.append(token)
        before = token.token_type
    return prepared


def _like(token: Token, kind: TokenType, text: str) -> Token:
    return Token(kind, text, line=token.line, col=token.col, start=token.start, end=token.end, comments=token.comments)


def _unmarked(tree: exp.Expr) -> exp.Expr:
    for node in tree.walk():
        if isinstance(node, (exp.Anonymous, exp.Identifier)) and isinstance(node.this, str) and _MARK in node.this:
            node.set("this", node.this.replace(_MARK, ""))
    return tree
