"""Secrets in the catalog file: read by reference, and kept out of everything that is shown.

`${env:NAME}` and `${file:/run/secrets/x}` stand for a value; `$${` writes a literal `${`. Every value that came from
a reference, and every password that is written in a URI, is known to the `Redactor`, which takes it out of any text.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, unquote

from adapters.errors import CatalogError, Error

HIDDEN = "***"

_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<reference>[^{}]*)\}|\$\{")
_SECRET_KEY = re.compile(
    r"pass(word|wd|phrase)?|pwd|secret|token|api[-_]?key|^key$|authorization|credentials?", re.IGNORECASE
)
_URI_PASSWORD = re.compile(r"(?P<before>\w://[^\s:/@?#]*):(?P<password>[^\s]+)@")
_NAMED_PASSWORD = re.compile(r"(?:password|passwd|pwd|token|secret|api_?key)=(?:'([^']+)'|([^\s&;']+))", re.IGNORECASE)

# A port is no secret, and without its digits figures could not be read. A password of digits is known by its place.
_PORT = re.compile(r"\d{1,5}")

# A shorter value is hidden only where it stands alone: hiding every "1" would make all messages unreadable.
_ANYWHERE = 6


class Redactor:
    """Knows the secrets of one catalog and takes them out of text."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def add(self, value: str) -> None:
        """Hide `value`, also where it is percent-encoded or escaped."""
        forms = {
            value,
            value.strip(),
            unquote(value),
            quote(value, safe=""),
            quote_plus(value),
            json.dumps(value)[1:-1],
        }
        self._secrets |= {form for form in forms if form}
        self._pattern = None

    def add_embedded(self, text: str) -> None:
        """Hide the passwords inside a URI or a connection string."""
        for match in _URI_PASSWORD.finditer(text):
            # A password may hold an unescaped @ or /: both ends that a driver could take are hidden.
            self.add(match["password"])
            self.add(match["password"].split("@", 1)[0])
        for quoted, plain in _NAMED_PASSWORD.findall(text):
            self.add(quoted or plain)

    def add_options(self, value: Any, key: str = "") -> None:
        """Hide what an option's key says is secret, and passwords inside any option, however deeply nested."""
        if isinstance(value, dict):
            for inner, item in value.items():
                self.add_options(item, inner)
        elif isinstance(value, list):
            for item in value:
                self.add_options(item, key)
        elif isinstance(value, str):
            self.add_embedded(value)
            if _SECRET_KEY.search(key) and not has_reference(value):
                self.add(value)

    def scrub(self, text: str) -> str:
        """The text without any known secret and without a password in any URI."""
        if self._secrets:
            if self._pattern is None:
                longest_first = sorted(self._secrets, key=len, reverse=True)
                self._pattern = re.compile("|".join(map(_form, longest_first)))
            text = self._pattern.sub(HIDDEN, text)
        return _URI_PASSWORD.sub(rf"\g<before>:{HIDDEN}@", text)

    def scrub_error(self, error: BaseException) -> None:
        """Take the secrets out of an error and of all its causes, in place."""
        for link in _chain(error):
            link.args = tuple(self.scrub(arg) if isinstance(arg, str) else arg for arg in link.args)
            if isinstance(link, Error):
                link.message = self.scrub(link.message)
                link.hint = self.scrub(link.hint) if link.hint else link.hint


def _form(secret: str) -> str:
    escaped = re.escape(secret)
    return escaped if len(secret) >= _ANYWHERE else rf"(?<!\w){escaped}(?!\w)"


def _chain(error: BaseException) -> Iterator[BaseException]:
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        link = waiting.pop()
        if link is not None and id(link) not in seen:
            seen.add(id(link))
            yield link
            waiting += [link.__cause__, link.__context__]


def has_reference(text: str) -> bool:
    return any(match.group() != "$${" for match in _REFERENCE.finditer(text))


def resolve_references(text: str, folder: Path, redactor: Redactor | None) -> str:
    """The text with every reference replaced; relative secret files are looked up in `folder`.

    The values become known to the redactor; None leaves them to be shown. Raises CatalogError that names the reference.
    """
    if "${" not in text:
        return text

    def value(match: re.Match[str]) -> str:
        if match.group() == "$${":
            return "${"
        found = _value_of(match["reference"], folder)
        if redactor is not None and not _PORT.fullmatch(found):
            redactor.add(found)
        return found

    return _REFERENCE.sub(value, text)


def _value_of(reference: str | None, folder: Path) -> str:
    scheme, _, name = (reference or "").partition(":")
    if scheme == "env" and name:
        value = os.environ.get(name)
        if value is None:
            raise CatalogError(
                f"the environment variable {name} of ${{env:{name}}} is not set",
                hint=f"export {name}=…, then try again",
            )
    elif scheme == "file" and name:
        value = _file_value(name, folder)
    else:
        # What follows may be part of a password, so it is not shown.
        raise CatalogError(
            "a ${ here does not begin a reference", hint="write ${env:NAME} or ${file:/path}, and $${ for a literal ${"
        )
    return value


def _file_value(name: str, folder: Path) -> str:
    try:
        return (folder / name).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "not a path of UTF-8 text"
        raise CatalogError(
            f"the secret file of ${{file:{name}}} cannot be read: {why}",
            hint="a secret file holds one value as text; the user who runs this must be able to read it",
        ) from exc
