"""Runs one statement and writes its result: what `federation query` and the shell share."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from adapters.base import CancelToken
from adapters.errors import QueryCancelled
from federation.cli.destination import Output
from federation.cli.formats import Look, make_writer
from federation.cli.interrupt import Interrupts, interrupts
from federation.cli.progress import progress

if TYPE_CHECKING:
    from federation.engine import Engine
    from federation.planner.explain import Explanation


@dataclass(frozen=True)
class Statement:
    sql: str
    parameters: Mapping[str, str] | None = None
    timeout: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


def planning(args: argparse.Namespace) -> dict[str, Any]:
    """The options of a query that its command line gives."""
    return {"disable": args.disable, "max_staleness": args.max_staleness, "no_cache": args.no_cache}


class Interrupted(Exception):
    """A signal ended the statement; `error` is what it ended with."""

    def __init__(self, signum: int, error: Exception) -> None:
        super().__init__(signum)
        self.signum = signum
        self.error = error


def terminal_look(expanded: bool = False) -> Look:
    """For standard output: as wide as the window when it is one."""
    if not sys.stdout.isatty():
        return Look(expanded=expanded)
    colour = "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    return Look(shutil.get_terminal_size().columns, colour, expanded)


def run(engine: Engine, statement: Statement, out: Output, form: str, look: Look) -> int:
    """Stream the result to `out`; the number of rows."""
    to_terminal = out.isatty()
    rows = 0
    with ExitStack() as stack:
        signals = stack.enter_context(_interruptible())
        shown = stack.enter_context(progress(sys.stderr))
        try:
            result = engine.query(statement.sql, statement.parameters, statement.timeout, options=statement.options)
            stack.callback(result.close)
            signals.target(result.cancel)
            if shown is not None:
                shown.watch(result.progress)
            writer = make_writer(form, out, result.schema, look if to_terminal else Look(expanded=look.expanded))
            for batch in result.batches():
                if shown is not None and to_terminal:
                    shown.hide()
                writer.write(batch)
                rows += batch.num_rows
            if shown is not None:
                shown.hide()
            writer.end()
        except Exception as exc:
            if signals.raised is None and signals.signum is not None:
                raise Interrupted(signals.signum, exc) from exc
            raise
    return rows


def explained(engine: Engine, statement: Statement, analyze: bool) -> Explanation:
    """As `Engine.explain`; a second Ctrl-C ends the process where the first one is not heard."""
    cancel = CancelToken()
    with _interruptible() as signals:
        if analyze:
            signals.target(cancel.cancel)
        try:
            return engine.explain(
                statement.sql, statement.parameters, analyze=analyze, options=statement.options, cancel=cancel
            )
        except QueryCancelled:
            raise _cancelled(signals.signum or signal.SIGINT) from None


@contextmanager
def _interruptible() -> Iterator[Interrupts]:
    """Raises Interrupted for a statement that a signal broke off."""
    with interrupts() as signals:
        try:
            yield signals
        except KeyboardInterrupt:
            raise _cancelled(signals.signum or signal.SIGINT) from None
        except Exception:
            # KeyboardInterrupt becomes a RuntimeError in the middle of a lock, and while DuckDB works.
            if signals.raised is not None:
                raise _cancelled(signals.raised) from None
            raise


def _cancelled(signum: int) -> Interrupted:
    return Interrupted(signum, QueryCancelled("the query was cancelled"))
