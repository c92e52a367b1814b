"""Where a result goes: standard output, or a file that appears only when it is complete."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from adapters.errors import OperationalError


class FileFailed(OperationalError, sqlstate="58030"):
    """A file could not be written or read."""


class Output:
    """A binary stream whose failures are ours. A reader that went away stays a BrokenPipeError: that is no fault."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream = stream
        self._name = name

    def write(self, data: bytes) -> int:
        with translated(self._name):
            return self._stream.write(data)

    def flush(self) -> None:
        with translated(self._name):
            self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()


@contextlib.contextmanager
def translated(name: str, action: str = "write") -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as exc:
        raise FileFailed(f"cannot {action} {name}: {exc.strerror}") from exc


@contextlib.contextmanager
def destination(path: Path | None) -> Iterator[Output]:
    """A failure inside leaves an existing file as it was. None is standard output; a device or a pipe is written to
    directly."""
    if path is None:
        yield (out := Output(sys.stdout.buffer, "standard output"))
        out.flush()
        return
    name = str(path)
    with contextlib.ExitStack() as stack:
        with translated(name):
            special = path.exists() and not path.is_file()
            stream = stack.enter_context(_direct(path, name) if special else _replacing(path.resolve(), name))
        yield (out := Output(stream, name))
        out.flush()


@contextlib.contextmanager
def _direct(path: Path, shown: str) -> Iterator[BinaryIO]:
    stream = path.open("wb")
    try:
        yield stream
    finally:
        with translated(shown):  # it writes what is still buffered
            stream.close()


@contextlib.contextmanager
def _replacing(path: Path, shown: str) -> Iterator[BinaryIO]:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(descriptor)
    new = Path(name)
    try:
        with _direct(new, shown) as out:
            yield out
            with translated(shown):
                out.flush()
                os.fsync(out.fileno())
        with translated(shown):
            if path.exists():
                shutil.copymode(path, new)
            else:
                new.chmod(0o666 & ~_umask())
            new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def _umask() -> int:
    """Reading it needs setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
