"""What an installation may lack: `pip install federation` is the client of a server, and extras bring the rest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from adapters.errors import MissingDriver


@contextmanager
def needed(what: str, extra: str) -> Iterator[None]:
    """Around imports of what only an extra installs. Raises MissingDriver with the command that does."""
    try:
        yield
    except ModuleNotFoundError as exc:
        raise MissingDriver(f"{what} needs the package {exc.name}", hint=f'pip install "federation[{extra}]"') from exc
