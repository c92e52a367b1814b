"""The shell's own commands, which begin with a backslash, named as in psql."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.base import Table
from adapters.errors import Error, ProgrammingError
from catalog.model import View
from catalog.names import show_name, split_name
from federation.cli.formats import TEXT_FORMATS
from federation.cli.type_names import sql_type_name

if TYPE_CHECKING:
    from federation.cli.session import Session


class UnknownCommand(ProgrammingError):
    """A backslash command that does not exist, or that was given a wrong value."""


@dataclass(frozen=True)
class Command:
    run: Callable[[Session, str], None]
    argument: str
    help: str


def run_meta(session: Session, line: str) -> None:
    """`line` begins with a backslash."""
    name, _, argument = line.strip().removeprefix("\\").rstrip(";").partition(" ")
    command = COMMANDS.get(name)
    if command is None:
        raise UnknownCommand(f"there is no command \\{name}", hint="\\? lists the commands")
    command.run(session, argument.strip())


def _describe(session: Session, argument: str) -> None:
    if not argument:
        _relations(session, "", ("table", "view"))
        return
    parts = split_name(argument)
    if parts is None:
        raise UnknownCommand(f"{argument} is not the name of a table")
    found = session.engine.catalog.resolve(parts, ['"' in argument] * len(parts))
    if isinstance(found, View):
        _, columns = session.engine.describe(found.sql)
        session.show(f"View {show_name((found.schema, found.name))}", ("column", "type"), columns)
        session.say(found.sql.strip())
    else:
        _describe_table(session, found.source.name, found.table)


def _describe_table(session: Session, source: str, table: Table) -> None:
    rows = [
        (
            column.name,
            sql_type_name(column.type),
            column.source_type,
            "" if column.nullable else "not null",
            "key" if column.name in table.primary_key else "",
            "required in WHERE" if column.required_filter else "",
            column.comment or "",
        )
        for column in table.columns
    ]
    names = ("column", "type", "at the source", "null", "key", "filter", "comment")
    used = [i for i in range(len(names)) if i < 2 or any(row[i] for row in rows)]
    title = f"Table {show_name((source, table.name.schema, table.name.name))}"
    session.show(title, [names[i] for i in used], [tuple(row[i] for i in used) for row in rows])
    for key in table.foreign_keys:
        target = show_name((source, key.references.schema, key.references.name))
        session.say(f"({', '.join(key.columns)}) references {target} ({', '.join(key.referenced_columns)})")


def _relations(session: Session, pattern: str, kinds: Sequence[str]) -> None:
    """Tables and views; a source that fails is named with its error, and the others are listed."""
    catalog = session.engine.catalog
    rows: list[tuple[str, ...]] = []
    failures: list[Error] = []
    for name, source in catalog.sources.items() if "table" in kinds else ():
        try:
            default = source.adapter.default_schema
            for table in catalog.tables(name):
                parts = (name, table.name) if table.schema == default else (name, table.schema, table.name)
                rows.append((show_name(parts), "table", source.kind))
        except Error as error:
            failures.append(error)
    if "view" in kinds:
        rows += [(show_name(key), "view", "") for key in catalog.views]
    session.show("", ("name", "kind", "adapter"), [row for row in rows if _matches(row[0], pattern)])
    for failure in failures:
        session.report(failure)


def _matches(name: str, pattern: str) -> bool:
    """`*` and `?` as in a shell; a pattern without a dot may match the last part alone."""
    folded, wanted = name.casefold(), pattern.casefold()
    return not pattern or fnmatchcase(folded, wanted) or fnmatchcase(folded.rpartition(".")[2], wanted)


def _schemas(session: Session, argument: str) -> None:
    catalog = session.engine.catalog
    rows = [(show_name((name,)), "source", source.kind) for name, source in catalog.sources.items()]
    rows += [(show_name((schema,)), "views", "") for schema in sorted({schema for schema, _ in catalog.views})]
    session.show("", ("name", "kind", "adapter"), [row for row in rows if _matches(row[0], argument)])


def _expanded(session: Session, argument: str) -> None:
    session.expanded = _switch(argument, session.expanded)
    session.say(f"Expanded display is {'on' if session.expanded else 'off'}.")


def _timing(session: Session, argument: str) -> None:
    session.timing = _switch(argument, session.timing)
    session.say(f"Timing is {'on' if session.timing else 'off'}.")


def _switch(argument: str, now: bool) -> bool:
    if argument not in ("", "on", "off"):
        raise UnknownCommand(f"{argument} is neither on nor off")
    return argument == "on" if argument else not now


def _format(session: Session, argument: str) -> None:
    if argument and argument not in TEXT_FORMATS:
        raise UnknownCommand(f"there is no format {argument} here", hint=f"one of {', '.join(TEXT_FORMATS)}")
    session.format = argument or session.format
    session.say(f"Format is {session.format}.")


def _output(session: Session, argument: str) -> None:
    session.send_to(Path(argument).expanduser() if argument else None)


def _include(session: Session, argument: str) -> None:
    if not argument:
        raise UnknownCommand("\\i needs the name of a file")
    session.run_file(Path(argument).expanduser())


def _explain(session: Session, argument: str) -> None:
    if not argument:
        raise UnknownCommand("\\explain needs a statement")
    session.explain(argument, analyze=False)


def _analyze(session: Session, argument: str) -> None:
    if not argument:
        raise UnknownCommand("\\analyze needs a statement")
    session.explain(argument, analyze=True)


def _quit(session: Session, argument: str) -> None:  # noqa: ARG001 -- every command takes an argument
    session.ended = True


def _help(session: Session, argument: str) -> None:  # noqa: ARG001
    rows: Iterable[tuple[str, str]] = (
        (f"\\{name} {command.argument}".rstrip(), command.help) for name, command in COMMANDS.items()
    )
    for usage, text in rows:
        session.say(f"{usage:<22}{text}")
    session.say("Anything else is SQL, and runs at its semicolon. Ctrl-C ends a running query, Ctrl-D leaves.")


COMMANDS = {
    "d": Command(_describe, "[NAME]", "tables and views, or the columns of one"),
    "dt": Command(lambda session, pattern: _relations(session, pattern, ("table",)), "[PATTERN]", "tables"),
    "dv": Command(lambda session, pattern: _relations(session, pattern, ("view",)), "[PATTERN]", "views"),
    "dn": Command(_schemas, "[PATTERN]", "sources and schemas of views"),
    "x": Command(_expanded, "[on|off]", "one line per value"),
    "timing": Command(_timing, "[on|off]", "show how long each statement takes"),
    "format": Command(_format, "[NAME]", f"how rows are shown: {', '.join(TEXT_FORMATS)}"),
    "o": Command(_output, "[FILE]", "send rows to a file, or back to the screen"),
    "i": Command(_include, "FILE", "run the statements of a file"),
    "explain": Command(_explain, "SQL", "show what runs where"),
    "analyze": Command(_analyze, "SQL", "run it, and show what ran where with actual figures"),
    "?": Command(_help, "", "this list"),
    "q": Command(_quit, "", "leave"),
}
