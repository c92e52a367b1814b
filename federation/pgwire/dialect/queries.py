"""A query of a client: SELECT, WITH, VALUES or TABLE, read by sqlglot."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from adapters.errors import UndefinedParameter
from federation.parse import only_query, parse
from federation.pgwire.dialect.grammar import parse_tokens, unexpected
from federation.pgwire.dialect.lists import numbers_of
from federation.pgwire.dialect.statements import Query
from federation.pgwire.dialect.words import Words

FIRST = frozenset({"SELECT", "WITH", "VALUES", "TABLE", "("})
MOST_PARAMETERS = 65_535  # of the protocol
_PLACEHOLDERS = (TokenType.PLACEHOLDER, TokenType.MOD, TokenType.COLON)  # of other systems: `?`, `%s`, `:name`


def read_query(words: Words) -> Query:
    """What is left of the statement, as a query. Raises SQLSyntaxError, ReadOnlyError, StatementTooComplex."""
    if words.peek() not in FIRST:
        raise unexpected(words.next)
    tokens = words.rest
    for _ in tokens:
        words.token()
    return query_of(tokens, words)


def query_of(tokens: Sequence[Token], words: Words) -> Query:
    """These tokens of the statement as a query."""
    text, start, end = words.text, tokens[0].start, tokens[-1].end + 1
    _check_parameters(tokens)
    if words.duckdb:
        tree = parse(" " * start + text[start:end])  # positions count in the whole text
        return Query(tree, text[start:end], _numbers(tree))
    tree = only_query(parse_tokens(tokens, text))
    if tree.find(exp.Placeholder):
        raise unexpected(next((each for each in tokens if each.token_type in _PLACEHOLDERS), None))
    if words.lists is not None:
        words.lists.place(tree)
    return Query(tree, text[start:end], _numbers(tree))


def _numbers(tree: exp.Query) -> tuple[int, ...]:
    listed = (numbers_of(node) for node in tree.find_all(exp.In))
    numbers = sorted({int(each.name) for each in tree.find_all(exp.Parameter, exp.Placeholder)}.union(*listed))
    if numbers and not 1 <= numbers[0] <= numbers[-1] <= MOST_PARAMETERS:
        raise UndefinedParameter(f"there is no parameter ${numbers[-1] if numbers[0] else 0}")
    return tuple(numbers)


def _check_parameters(tokens: Sequence[Token]) -> None:
    """A parameter is `$1`; sqlglot knows `@name` and `$name` as well."""
    for token, after in zip(tokens, [*tokens[1:], None], strict=True):
        if token.token_type is not TokenType.PARAMETER:
            continue
        number = after is not None and after.token_type is TokenType.NUMBER and after.start == token.end + 1
        if token.text != "$" or not number or not after or not after.text.isdigit():
            raise unexpected(token)
