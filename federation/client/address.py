"""Where a server is, and who asks."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from adapters.errors import InterfaceError

SCHEMES = ("http://", "https://")
DEFAULT_PORT = 8470


def is_address(target: object) -> bool:
    return isinstance(target, str) and target.lower().startswith(SCHEMES)


@dataclass(frozen=True, slots=True)
class Address:
    """`url` shows nothing of who asks. `authorization` is the header, None where nobody has to say."""

    url: str
    authorization: str | None = field(repr=False)
    ca_file: Path | None = None

    @property
    def secure(self) -> bool:
        return self.url.startswith("https:")


def read_address(target: str, token: str | None, ca_file: str | os.PathLike[str] | None) -> Address:
    """`http://host:8470`, `https://name:password@host/behind/a/proxy`, `http://:token@host`. Raises InterfaceError."""
    try:
        parts = urlsplit(target)
        port, host = parts.port, parts.hostname
    except ValueError as exc:
        raise _wrong(f"the address of the server is none: {exc}") from None
    if not host:
        raise _wrong("the address of the server names no host")
    if parts.query or parts.fragment:
        raise _wrong("the address of the server has a ? or a #")
    if ca_file is not None and parts.scheme.lower() != "https":
        raise InterfaceError("ca_file is for https", hint="write https://…, or leave ca_file out")
    shown = f"[{host}]" if ":" in host else host
    url = f"{parts.scheme.lower()}://{shown}:{port or DEFAULT_PORT}{parts.path.rstrip('/')}"
    return Address(url, _authorization(parts.username, parts.password, token), Path(ca_file) if ca_file else None)


def _authorization(user: str | None, password: str | None, token: str | None) -> str | None:
    if token is not None and (user or password):
        raise InterfaceError("a token and a user are given", hint="one of them says who asks")
    if password and not user:
        token = unquote(password)
    if token is not None:
        if not (token.isascii() and token.isprintable() and token and " " not in token):
            raise InterfaceError("the token is none", hint="federation token create NAME prints one")
        return f"Bearer {token}"
    if user is None and password is None:
        return None
    pair = f"{unquote(user or '')}:{unquote(password or '')}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _wrong(message: str) -> InterfaceError:
    return InterfaceError(message, hint="http://host:8470, or https://host:8470")
