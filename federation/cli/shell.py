"""`federation shell`: a prompt with completion and history; a plain reader of statements when the input is a pipe."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from federation.cli.options import read_sql
from federation.location import catalog_path

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.history import History

    from federation.cli.session import Session

PROMPT = "federation> "
CONTINUATION = "         -> "


def shell(args: argparse.Namespace) -> int:
    from federation.cli.session import Session
    from federation.engine import Engine

    engine = Engine.open(catalog_path(args.catalog))
    session = Session(engine)
    try:
        if sys.stdin.isatty() and sys.stdout.isatty():
            converse(session, make_prompt(session))
            return 0
        session.run_all(read_sql("-"))
        if session.interrupted is not None:
            return 128 + session.interrupted
        return 1 if session.failed else 0
    finally:
        session.close()
        engine.close()


def converse(session: Session, prompt: PromptSession[str]) -> None:
    """Read and run until Ctrl-D or \\q. Ctrl-C at the prompt drops the line."""
    session.say("Statements end with a semicolon; \\? lists the commands, \\q leaves.")
    while not session.ended:
        try:
            text = prompt.prompt(PROMPT)
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
        session.interrupted = None
        session.run_all(text)


def make_prompt(session: Session) -> PromptSession[str]:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

    from federation.cli.completion import NameCompleter
    from federation.cli.names import Names
    from federation.cli.statements import is_finished

    keys = KeyBindings()

    @keys.add("enter")
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.complete_state and buffer.complete_state.current_completion:
            buffer.complete_state = None
        elif is_finished(buffer.text):
            buffer.validate_and_handle()
        else:
            buffer.insert_text("\n")

    return PromptSession(
        multiline=True,
        prompt_continuation=CONTINUATION,
        key_bindings=keys,
        history=history(),
        completer=NameCompleter(Names(session.engine.catalog)),
        complete_in_thread=True,
        enable_open_in_editor=True,
    )


def history() -> History:
    """Kept between shells, readable by its owner only; in memory where no file can be written."""
    from prompt_toolkit.history import FileHistory, InMemoryHistory

    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    path = Path(state) / "federation" / "history"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
    except OSError:
        return InMemoryHistory()
    return FileHistory(path)
