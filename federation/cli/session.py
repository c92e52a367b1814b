"""What a shell remembers between statements, and how it runs one. Errors are printed, and the shell goes on."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from adapters.errors import Error
from federation.cli.destination import Output, translated
from federation.cli.errors import describe
from federation.cli.meta_commands import run_meta
from federation.cli.run import Interrupted, Statement, explained, run, terminal_look
from federation.cli.statements import is_blank, meta_line, split
from federation.cli.table import TableWriter
from federation.engine import Engine

MAX_INCLUDES = 20


class Session:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.format = "table"
        self.expanded = False
        self.timing = False
        self.ended = False
        self.failed = False  # whether any statement did
        self.interrupted: int | None = None  # the signal that ended the last statement
        self._screen = Output(sys.stdout.buffer, "standard output")
        self._out = self._screen
        self._file = ExitStack()
        self._includes = 0

    def run_text(self, text: str) -> str:
        """Run the complete statements and the backslash lines between them; what is left over comes back."""
        rest = ""
        for line in text.splitlines(keepends=True):
            if self.ended or self.interrupted is not None:
                return ""
            statements, rest = split(rest + line) if meta_line(rest + line) is None else ([], rest + line)
            for statement in statements:
                self.attempt(statement)
            if meta := meta_line(rest):
                self.attempt(meta)
                rest = ""
        return rest

    def run_all(self, text: str) -> None:
        """As `run_text`; a last statement needs no semicolon."""
        rest = self.run_text(text)
        if not is_blank(rest) and not self.ended and self.interrupted is None:
            self.attempt(rest.strip())

    def attempt(self, text: str) -> None:
        """Run one statement or backslash command, and print its error."""
        self.interrupted = None
        started = time.monotonic()
        meta = text.startswith("\\")
        try:
            if meta:
                run_meta(self, text)
            else:
                look = replace(terminal_look(), expanded=self.expanded)
                run(self.engine, Statement(text.rstrip().rstrip(";")), self._out, self.format, look)
                self._out.flush()
        except BrokenPipeError:
            raise
        except Interrupted as stop:
            self.interrupted = stop.signum
            self.report(stop.error, text)
        except Exception as error:
            self.report(error, None if meta else text)
        if self.timing and not meta:
            self.say(f"Time: {(time.monotonic() - started) * 1000:,.1f} ms")

    def report(self, error: Exception, sql: str | None = None) -> None:
        self.failed = True
        self._screen.flush()
        print(describe(error, sql), file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """A line of the shell's own."""
        self._screen.write(f"{text}\n".encode())
        self._screen.flush()

    def show(self, title: str, names: Sequence[str], rows: Sequence[tuple[str, ...]]) -> None:
        """A small table of the shell's own, always on the screen."""
        if title:
            self.say(title)
        columns = [pa.array([row[i] for row in rows], pa.string()) for i in range(len(names))]
        batch = pa.RecordBatch.from_arrays(columns, names=list(names))
        writer = TableWriter(self._screen, batch.schema, replace(terminal_look(), expanded=False))
        writer.write(batch)
        writer.end()
        self._screen.flush()

    def send_to(self, path: Path | None) -> None:
        """Rows go to a file from now on; None is the screen again."""
        self._file.close()
        self._out = self._screen
        if path is not None:
            with translated(str(path)):
                self._out = Output(self._file.enter_context(path.open("wb")), str(path))

    def run_file(self, path: Path) -> None:
        """Errors in it are printed, and the statements after them run, as for those that are typed."""
        if self._includes == MAX_INCLUDES:
            raise Error(f"{path} is included by itself", hint="\\i may be nested to a depth of 20")
        with translated(str(path), "read"):
            text = path.read_text("utf-8-sig")
        self._includes += 1
        try:
            self.run_all(text)
        finally:
            self._includes -= 1

    def explain(self, sql: str, analyze: bool) -> None:
        self.say(explained(self.engine, Statement(sql.rstrip(";")), analyze).text().rstrip("\n"))

    def close(self) -> None:
        self._file.close()
