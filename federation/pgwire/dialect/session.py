"""Statements about the session: settings, transactions, prepared statements, notifications."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from adapters.errors import NotSupportedError, SQLSyntaxError
from federation.pgwire.dialect.grammar import parse_tokens, unexpected
from federation.pgwire.dialect.queries import read_query
from federation.pgwire.dialect.statements import (
    Begin,
    Commit,
    Deallocate,
    Discard,
    Execute,
    Explain,
    Listen,
    Notify,
    Parsed,
    Prepare,
    Release,
    Reset,
    Rollback,
    RollbackTo,
    Savepoint,
    Set,
    SetTransaction,
    Show,
    Unlisten,
)
from federation.pgwire.dialect.words import Words

_LEVELS = ("READ", "REPEATABLE", "SERIALIZABLE")
_CAST = ((TokenType.SELECT, "SELECT"), (TokenType.NULL, "NULL"), (TokenType.DCOLON, "::"))
_OPENING = {TokenType.L_PAREN, TokenType.L_BRACKET}
_CLOSING = {TokenType.R_PAREN, TokenType.R_BRACKET}


def read_set(words: Words) -> Parsed:
    local = words.accept("LOCAL", "SESSION")
    if local != "LOCAL" and words.accept_all("CHARACTERISTICS", "AS", "TRANSACTION"):
        return SetTransaction(_modes(words), session=True)
    if words.accept("TRANSACTION"):
        if words.accept("SNAPSHOT"):
            return Set("transaction_snapshot", (words.string(),))
        return SetTransaction(_modes(words))
    is_local = local == "LOCAL"
    if words.accept_all("TIME", "ZONE"):
        return Set("timezone", _zone(words), is_local)
    if words.accept("NAMES"):
        return Set("client_encoding", None if words.accept("DEFAULT") else (words.value(),), is_local)
    if words.accept("ROLE"):
        return Set("role", (words.value(),), is_local)
    if words.accept("AUTHORIZATION"):
        return Set("session_authorization", None if words.accept("DEFAULT") else (words.value(),), is_local)
    name = _setting(words)
    words.expect("TO", "=")
    if words.accept("DEFAULT"):
        return Set(name, None, is_local)
    values = [words.value()]
    while words.accept(","):
        values.append(words.value())
    return Set(name, tuple(values), is_local)


def _zone(words: Words) -> tuple[str, ...] | None:
    if words.accept("DEFAULT", "LOCAL"):
        return None
    if words.accept("INTERVAL"):
        value = words.string()
        words.accept_all("HOUR", "TO", "MINUTE")
        return (value,)
    return (words.value(),)


def _setting(words: Words) -> str:
    """The name of a setting, which may have a prefix: `myapp.user`."""
    name = words.name()
    while words.accept("."):
        name += "." + words.name()
    return name.lower()


def read_show(words: Words) -> Parsed:
    if words.accept_all("TIME", "ZONE"):
        return Show("timezone")
    if words.accept_all("TRANSACTION", "ISOLATION", "LEVEL"):
        return Show("transaction_isolation")
    if words.accept_all("SESSION", "AUTHORIZATION"):
        return Show("session_authorization")
    return Show(_setting(words))


def read_reset(words: Words) -> Parsed:
    if words.accept_all("TIME", "ZONE"):
        return Reset("timezone")
    if words.accept_all("TRANSACTION", "ISOLATION", "LEVEL"):
        return Reset("transaction_isolation")
    if words.accept_all("SESSION", "AUTHORIZATION"):
        return Reset("session_authorization")
    return Reset(_setting(words))


# --- transactions --------------------------------------------------------------------------------------------------


def read_begin(words: Words) -> Parsed:
    words.accept("WORK", "TRANSACTION")
    return Begin(_modes(words))


def read_start(words: Words) -> Parsed:
    words.expect("TRANSACTION")
    return Begin(_modes(words), "START TRANSACTION")


def _modes(words: Words) -> Mapping[str, str | bool]:
    modes: dict[str, str | bool] = {}
    while words.next is not None:
        if words.accept_all("ISOLATION", "LEVEL"):
            modes["isolation"] = _level(words)
        elif words.accept("READ"):
            modes["read_only"] = words.expect("ONLY", "WRITE") == "ONLY"
        elif words.accept("DEFERRABLE"):
            modes["deferrable"] = True
        elif words.accept("NOT"):
            words.expect("DEFERRABLE")
            modes["deferrable"] = False
        else:
            raise unexpected(words.next)
        words.accept(",")
    return modes


def _level(words: Words) -> str:
    word = words.expect(*_LEVELS)
    if word == "READ":
        return f"read {words.expect('COMMITTED', 'UNCOMMITTED').lower()}"
    if word == "REPEATABLE":
        words.expect("READ")
        return "repeatable read"
    return "serializable"


def _chain(words: Words) -> bool:
    words.accept("WORK", "TRANSACTION")
    if not words.accept("AND"):
        return False
    negated = words.accept("NO")
    words.expect("CHAIN")
    return not negated


def read_commit(words: Words) -> Parsed:
    return Commit(_chain(words))


def read_rollback(words: Words) -> Parsed:
    words.accept("WORK", "TRANSACTION")
    if words.accept("TO"):
        words.accept("SAVEPOINT")
        return RollbackTo(words.name())
    return Rollback(_chain(words))


def read_abort(words: Words) -> Parsed:
    return Rollback(_chain(words))


def read_savepoint(words: Words) -> Parsed:
    return Savepoint(words.name())


def read_release(words: Words) -> Parsed:
    words.accept("SAVEPOINT")
    return Release(words.name())


# --- prepared statements -------------------------------------------------------------------------------------------


def read_prepare(words: Words) -> Parsed:
    name = words.name()
    types: tuple[exp.DataType, ...] = ()
    if words.accept("("):
        types = tuple(_type(each, words.text) for each in _arguments(words))
    words.expect("AS")
    return Prepare(name, types, read_query(words))


def _type(tokens: list[Token], text: str) -> exp.DataType:
    """A type stands alone nowhere in the grammar: it is read as that of a cast."""
    at = tokens[0]
    null = [Token(kind, word, start=at.start, end=at.start) for kind, word in _CAST]
    cast = parse_tokens([*null, *tokens], text).expressions[0]
    if not isinstance(cast, exp.Cast) or not isinstance(cast.this, exp.Null):
        raise unexpected(at)
    return cast.to


def read_execute(words: Words) -> Execute:
    name = words.name()
    if not words.accept("("):
        return Execute(name)
    values = []
    for tokens in _arguments(words):
        select = Token(TokenType.SELECT, "SELECT", start=tokens[0].start, end=tokens[0].start)
        values.append(parse_tokens([select, *tokens], words.text).expressions[0].unalias())
    return Execute(name, tuple(values))


def _arguments(words: Words) -> list[list[Token]]:
    """The tokens of each argument of a list, whose opening parenthesis has been taken."""
    found: list[list[Token]] = [[]]
    depth = 0
    while True:
        token = words.token()
        if depth == 0 and token.token_type is TokenType.R_PAREN:
            break
        if depth == 0 and token.token_type is TokenType.COMMA:
            found.append([])
            continue
        depth += (token.token_type in _OPENING) - (token.token_type in _CLOSING)
        found[-1].append(token)
    if not all(found):
        raise unexpected(token)
    return found


def read_deallocate(words: Words) -> Parsed:
    words.accept("PREPARE")
    return Deallocate(None if words.accept("ALL") else words.name())


def read_discard(words: Words) -> Parsed:
    what = words.expect("ALL", "PLANS", "SEQUENCES", "TEMP", "TEMPORARY").lower()
    return Discard("temp" if what == "temporary" else what)


_EXPLAIN = frozenset({"analyze", "verbose", "costs", "settings", "buffers", "wal", "timing", "summary", "format"})
_FORMATS = ("text", "json")


def _check_option(name: str, value: str, at: Token | None) -> None:
    position = at.start + 1 if at is not None else None
    if name not in _EXPLAIN:
        hint = f"one of {', '.join(sorted(_EXPLAIN))}"
        raise SQLSyntaxError(f'unrecognized EXPLAIN option "{name}"', hint=hint, position=position)
    if name == "format" and value not in _FORMATS:
        raise NotSupportedError(
            f"EXPLAIN in the format {value} is not supported", hint="text or json", position=position
        )


def read_explain(words: Words) -> Parsed:
    options: dict[str, str] = {}
    if words.accept("("):
        while True:
            at = words.next
            name = words.name()
            options[name] = "true" if words.peek() in (",", ")") else words.value().lower()
            _check_option(name, options[name], at)
            if words.expect(",", ")") == ")":
                break
    else:
        for word in ("ANALYZE", "VERBOSE"):
            if words.accept(word):
                options[word.lower()] = "true"
    if words.accept("EXECUTE"):
        return Explain(read_execute(words), options)
    return Explain(read_query(words), options)


# --- notifications -------------------------------------------------------------------------------------------------


def read_listen(words: Words) -> Parsed:
    return Listen(words.name())


def read_unlisten(words: Words) -> Parsed:
    return Unlisten(None if words.accept("*") else words.name())


def read_notify(words: Words) -> Parsed:
    channel = words.name()
    return Notify(channel, words.string() if words.accept(",") else "")


READERS: Mapping[str, Callable[[Words], Parsed]] = {
    "SET": read_set,
    "SHOW": read_show,
    "RESET": read_reset,
    "BEGIN": read_begin,
    "START": read_start,
    "COMMIT": read_commit,
    "END": read_commit,
    "ROLLBACK": read_rollback,
    "ABORT": read_abort,
    "SAVEPOINT": read_savepoint,
    "RELEASE": read_release,
    "PREPARE": read_prepare,
    "EXECUTE": read_execute,
    "DEALLOCATE": read_deallocate,
    "DISCARD": read_discard,
    "EXPLAIN": read_explain,
    "LISTEN": read_listen,
    "UNLISTEN": read_unlisten,
    "NOTIFY": read_notify,
}
