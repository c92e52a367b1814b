"""From what a client sends to statements.

1. The text is cut into tokens once, and those into statements at the semicolons.
2. Long lists of parameters are one each, see `lists.py`.
3. The first word says what a statement is. Only queries are parsed by sqlglot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from sqlglot.tokenizer_core import Token, TokenType

from adapters.errors import Error, ReadOnlyError
from federation.parse import MAX_TOKENS, check_length
from federation.pgwire.dialect import cursors, session
from federation.pgwire.dialect.copying import read_copy
from federation.pgwire.dialect.grammar import tokenize, unexpected
from federation.pgwire.dialect.lists import MEMBER_TOKENS, NotListed, StandIns
from federation.pgwire.dialect.queries import FIRST, read_query
from federation.pgwire.dialect.statements import Empty, Invalidate, Parsed, Unsupported
from federation.pgwire.dialect.words import Words


def read_call(words: Words) -> Parsed:
    if not words.accept_all("SYSTEM", ".", "INVALIDATE", "("):
        return Unsupported("0A000", "CALL is not supported", "but for CALL system.invalidate('name')", "CALL")
    name = words.string()
    words.expect(")")
    return Invalidate(name)


_READERS: Mapping[str, Callable[[Words], Parsed]] = {
    **session.READERS,
    **cursors.READERS,
    "COPY": read_copy,
    "CALL": read_call,
}
_WRITES = {
    *("INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE", "CREATE", "ALTER", "DROP", "COMMENT", "GRANT", "REVOKE"),
    *("REASSIGN", "REFRESH", "IMPORT", "SECURITY"),
}
_OTHERS = {"ANALYZE", "CHECKPOINT", "CLUSTER", "DO", "LOAD", "LOCK", "REINDEX", "VACUUM"}


def statements(text: str, *, duckdb: bool = False) -> list[Parsed]:
    """The statements of a text, [Empty()] if there is none; with `duckdb` the queries among them are in DuckDB's words,
    and go to the engine as they are. Raises SQLSyntaxError with the position in the text,
    StatementTooComplex, ReadOnlyError, NotSupportedError, NumericOutOfRange."""
    check_length(text)
    lists = StandIns(text)
    if lists.lists and not duckdb:
        try:
            return _with_lists(text, lists)
        except (Error, NotListed):
            pass  # what is wrong is said of the text as it was written
    found = [_statement(Words(tokens, text, duckdb=duckdb)) for tokens in _split(tokenize(text))]
    return found or [Empty()]


def _with_lists(text: str, lists: StandIns) -> list[Parsed]:
    """Raises NotListed where a list is something else, such as part of a text."""
    tokens = tokenize(lists.text)
    members = sum(len(each.members) for each in lists.lists.values())
    if len(tokens) + MEMBER_TOKENS * members > MAX_TOKENS:
        raise NotListed
    found = [_statement(Words(each, text, lists=lists)) for each in _split(tokens)]
    if lists.lists:
        raise NotListed
    return found


def _split(tokens: Sequence[Token]) -> Iterator[Sequence[Token]]:
    start = 0
    for place, token in enumerate(tokens):
        if token.token_type is TokenType.SEMICOLON:
            if start < place:
                yield tokens[start:place]
            start = place + 1
    if start < len(tokens):
        yield tokens[start:]


def _statement(words: Words) -> Parsed:
    first = words.peek()
    if first in FIRST:
        return read_query(words)
    if first in _WRITES:
        return _refused(words, ReadOnlyError.sqlstate, "would write, and nothing here is writable")
    if first in _OTHERS:
        return _refused(words, "0A000", "is not supported")
    reader = _READERS.get(first)
    if reader is None:
        raise unexpected(words.next)
    words.token()
    made = reader(words)
    if not isinstance(made, Unsupported):
        words.end()
    return made


def _refused(words: Words, sqlstate: str, why: str) -> Unsupported:
    first = words.token().text.upper()
    two = first in ("CREATE", "ALTER", "DROP") and words.peek().isalpha()
    tag = f"{first} {words.peek()}" if two else first
    return Unsupported(sqlstate, f"{tag} {why}", "only SELECT, VALUES, WITH and TABLE run here", tag)
