"""Catalog queries of real clients: all run, and give PostgreSQL's columns, types and rows.

`corpus/*.sql` has what clients were seen to send, or are known to; statements are separated by lines of `--;`, numbers
of relations are written as {schema.relation}. Those that begin with `-- differs` give other rows, for the reason that
is said.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.pgwire.overlay_world import World

CORPUS = Path(__file__).parent / "corpus"
STATEMENTS = [
    pytest.param(sql.strip(), id=f"{file.stem}-{number}")
    for file in sorted(CORPUS.glob("*.sql"))
    for number, sql in enumerate(re.split(r"(?m)^--;$", file.read_text()), 1)
]


@pytest.mark.parametrize("sql", STATEMENTS)
def test_statement(world: World, sql: str) -> None:
    numbers = world.named_oids()
    ours = re.sub(r"\{((?:shop\.|schema )[^}]+)\}", lambda match: str(numbers[match[1]][1]), sql)
    theirs = re.sub(r"\{((?:shop\.|schema )[^}]+)\}", lambda match: str(numbers[match[1]][0]), sql)
    columns, rows = world.ours(ours)
    their_columns, their_rows = world.theirs(theirs)
    assert columns == their_columns
    assert world.our_types(ours) == world.their_types(theirs)
    names = {ours: theirs for theirs, ours in numbers.values()}
    if not sql.startswith("-- differs"):
        assert _sorted(rows, names) == _sorted(their_rows, {})


def _sorted(rows: list[tuple[object, ...]], names: dict[int, int]) -> list[tuple[str, ...]]:
    return sorted(
        tuple(_shown(names.get(value, value) if isinstance(value, int) else value) for value in row) for row in rows
    )


def _shown(value: object) -> str:
    return json.dumps(value, separators=(",", ":")) if isinstance(value, dict) else str(value)
