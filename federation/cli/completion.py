"""Completion at the prompt: keywords, functions, sources, schemas, tables, and the columns of the tables in sight."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from catalog.names import show_name, split_name
from federation.cli.meta_commands import COMMANDS
from federation.cli.names import Names
from federation.cli.statements import in_literal, split
from federation.cli.words import FUNCTIONS, KEYWORDS, NOT_ALIAS

PART = r'(?:"(?:[^"]|"")*"|\w+)'
WORD = re.compile(rf'((?:{PART}\.)*)("[^"]*|\w*)$')
# A table in FROM or JOIN, and its alias.
TABLE = re.compile(rf"\b(?:from|join)\s+({PART}(?:\.{PART})*)(?:\s+(?:as\s+)?({PART}))?", re.IGNORECASE)
WANTS_TABLE = re.compile(rf"\b(?:from|join)\s+(?:{PART}(?:\.{PART})*(?:\s+(?:as\s+)?\w+)?\s*,\s*)*$", re.IGNORECASE)
META_NAME = re.compile(r"\\d\w*\s+(\S*)$")


class NameCompleter(Completer):
    """Runs in a thread of the prompt (`complete_in_thread`)."""

    def __init__(self, names: Names) -> None:
        self._names = names

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:  # noqa: ARG002
        before = document.text_before_cursor
        if before.lstrip().startswith("\\"):
            yield from self._meta(before.lstrip())
            return
        statement = split(before)[1]
        if in_literal(statement):
            return
        found = WORD.search(statement)
        assert found is not None
        prefix, word = split_name(found[1].rstrip(".")) or (), found[2]
        earlier = statement[: found.start()]
        around = f"{earlier} {document.text_after_cursor}"  # without the word itself, which is nobody's alias yet
        for text, kind in self._candidates(prefix, word, earlier, around):
            if text.strip('"').casefold().startswith(word.strip('"').casefold()):
                yield Completion(text, -len(word), display_meta=kind)

    def _candidates(self, prefix: tuple[str, ...], word: str, earlier: str, around: str) -> Iterator[tuple[str, str]]:
        if prefix:
            yield from self._qualified(prefix, around)
        elif WANTS_TABLE.search(earlier):
            yield from self._table_names()
        elif word:
            for alias, table in tables_in(around):
                yield from ((show_name((column,)), "column") for column in self._names.columns(table))
                yield show_name((alias,)), "table"
            lower = word.islower()
            yield from ((function, "function") for function in FUNCTIONS)
            yield from ((keyword.lower() if lower else keyword, "") for keyword in KEYWORDS)

    def _table_names(self) -> Iterator[tuple[str, str]]:
        yield from ((show_name((source,)), "source") for source in self._names.sources)
        yield from ((show_name((schema,)), "views") for schema in sorted(self._names.view_schemas))
        yield from ((show_name(table[-1:]), show_name(table[:-1])) for table in self._names.tables())

    def _qualified(self, prefix: tuple[str, ...], around: str) -> Iterator[tuple[str, str]]:
        wanted = _folded(prefix)
        for alias, table in tables_in(around):
            if _folded((alias,)) == wanted or _folded(table) == wanted:
                yield from ((show_name((column,)), "column") for column in self._names.columns(table))
        seen = set()
        for table in self._names.tables():
            if _folded(table[: len(prefix)]) == wanted and len(table) > len(prefix):
                part = table[len(prefix)]
                if part not in seen:
                    seen.add(part)
                    yield show_name((part,)), "table" if len(table) == len(prefix) + 1 else "schema"

    def _meta(self, line: str) -> Iterator[Completion]:
        if " " not in line:
            for name, command in COMMANDS.items():
                if f"\\{name}".startswith(line):
                    yield Completion(f"\\{name}", -len(line), display_meta=command.help)
        elif named := META_NAME.match(line):
            for table in self._names.tables():
                text = show_name(table)
                if text.casefold().startswith(named[1].casefold()):
                    yield Completion(text, -len(named[1]))


def tables_in(statement: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The tables after FROM and JOIN, each with the name it goes by."""
    for found in TABLE.finditer(statement):
        table = split_name(found[1])
        if table is None:
            continue
        alias = found[2]
        given = alias is not None and alias.casefold() not in NOT_ALIAS
        yield (alias.strip('"') if given else table[-1]), table


def _folded(parts: Iterable[str]) -> tuple[str, ...]:
    return tuple(part.casefold() for part in parts)
