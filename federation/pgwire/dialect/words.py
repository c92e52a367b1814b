"""The words of one statement, read from left to right: what the statements of a session are read with."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot.tokenizer_core import Token, TokenType

from federation.pgwire.dialect.grammar import unexpected
from federation.pgwire.dialect.lists import StandIns

_STRINGS = {TokenType.STRING, TokenType.BYTE_STRING, TokenType.HEREDOC_STRING, TokenType.UNICODE_STRING}
#: what cannot be a name: signs and literals
_NO_NAME = {TokenType.NUMBER, TokenType.SEMICOLON, *_STRINGS}


class Words:
    """A cursor over the tokens of one statement of `text`. Every `take_…` raises SQLSyntaxError at the token that does
    not fit."""

    def __init__(
        self, tokens: Sequence[Token], text: str, *, duckdb: bool = False, lists: StandIns | None = None
    ) -> None:
        self.text = text
        self.lists = lists  # for which some of the tokens stand
        self.duckdb = duckdb  # whose words the queries in it are
        self._tokens = tokens
        self._at = 0

    @property
    def next(self) -> Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    @property
    def rest(self) -> Sequence[Token]:
        return self._tokens[self._at :]

    def peek(self) -> str:
        """The next word in upper case; "" at the end, and for what is quoted."""
        token = self.next
        if token is None or token.token_type in _STRINGS or token.token_type is TokenType.IDENTIFIER:
            return ""
        return token.text.upper()

    def accept(self, *words: str) -> str | None:
        """Take the next word if it is one of these."""
        word = self.peek()
        if word not in words:
            return None
        self._at += 1
        return word

    def accept_all(self, *words: str) -> bool:
        """Take these words if all of them come next, in this order."""
        start = self._at
        for word in words:
            if self.accept(word) is None:
                self._at = start
                return False
        return True

    def expect(self, *words: str) -> str:
        word = self.accept(*words)
        if word is None:
            raise unexpected(self.next)
        return word

    def token(self) -> Token:
        token = self.next
        if token is None:
            raise unexpected(None)
        self._at += 1
        return token

    def name(self) -> str:
        """An identifier: folded to lower case unless quoted."""
        token = self.next
        if token is None or token.token_type in _NO_NAME or not _is_word(token):
            raise unexpected(token)
        self._at += 1
        return token.text if token.token_type is TokenType.IDENTIFIER else token.text.lower()

    def string(self) -> str:
        token = self.next
        if token is None or token.token_type not in _STRINGS:
            raise unexpected(token)
        self._at += 1
        return token.text

    def value(self) -> str:
        """A name, a string or a number with its sign, as text."""
        sign = "-" if self.accept("-") else ""
        if not sign:
            self.accept("+")
        token = self.next
        if token is not None and token.token_type is TokenType.NUMBER:
            self._at += 1
            return sign + token.text
        if sign:
            raise unexpected(token)
        if token is not None and token.token_type in _STRINGS:
            return self.string()
        return self.name()

    def integer(self) -> int:
        token = self.next
        text = self.value()
        try:
            return int(text)
        except ValueError:
            raise unexpected(token) from None

    def end(self) -> None:
        if self.next is not None:
            raise unexpected(self.next)


def _is_word(token: Token) -> bool:
    return token.token_type is TokenType.IDENTIFIER or token.text.replace("_", "a").replace("$", "a").isalnum()
