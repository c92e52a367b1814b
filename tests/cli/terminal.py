"""The command in a pseudo-terminal, typed at as by a person."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import tempfile
import termios
import time
from types import TracebackType
from typing import Self

PATIENCE = 60.0
ASKS_POSITION = b"\x1b[6n"  # prompt_toolkit asks where the cursor is, and waits for the answer


class Terminal:
    """`seen` is everything that appeared on the screen."""

    def __init__(self, *args: str, columns: int = 80, colour: bool = False) -> None:
        self.seen = ""
        self._waited_for = 0
        self._code: int | None = None
        self._state = tempfile.TemporaryDirectory()
        self._pid, self._screen = pty.fork()
        if self._pid == 0:
            environment = {**os.environ, "TERM": "xterm", "NO_COLOR": "1", "XDG_STATE_HOME": self._state.name}
            if colour:
                del environment["NO_COLOR"]
            os.execve(sys.executable, [sys.executable, "-m", "federation", *args], environment)
        fcntl.ioctl(self._screen, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        if self._code is None:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        os.close(self._screen)
        self._state.cleanup()

    def type(self, keys: str) -> None:
        os.write(self._screen, keys.encode())

    def wait_for(self, text: str) -> None:
        """Until `text` appears after what was waited for before."""
        deadline = time.monotonic() + PATIENCE
        while (found := self.seen.find(text, self._waited_for)) < 0:
            new = self.seen[self._waited_for :]
            assert time.monotonic() < deadline, f"{text!r} did not appear in {new!r}"
            assert self._read(), f"the command ended before {text!r} appeared in {new!r}"
        self._waited_for = found + len(text)

    def exit_code(self) -> int:
        """Read to the end."""
        deadline = time.monotonic() + PATIENCE
        while self._read():
            assert time.monotonic() < deadline, f"the command goes on: {self.seen[-500:]!r}"
        self._code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        return self._code

    def _read(self) -> bool:
        """Take in what is there; False once the other side is closed."""
        ready, _, _ = select.select([self._screen], [], [], 0.1)
        if not ready:
            return True
        try:
            data = os.read(self._screen, 65536)
        except OSError:  # what Linux answers when the last process has left
            return False
        if ASKS_POSITION in data:
            os.write(self._screen, b"\x1b[1;1R")
        self.seen += data.decode(errors="replace")
        return bool(data)
