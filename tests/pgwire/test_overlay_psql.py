"""psql's commands: the SQL that psql sends gives the rows that PostgreSQL gives over the same tables."""

from __future__ import annotations

import re

import pytest

from tests.pgwire.overlay_world import World

COMMANDS = [
    *(r"\dn", r"\dt", r"\dv", r"\di", r"\d", r"\df", r"\du", r"\dT", r"\dp", r"\dx", r"\dt+", r"\dn+", r"\d+"),
    *(r"\d customers", r"\d orders", r"\d+ customers", r"\d+ orders", r'\d "Odd Name"', r"\d customers_pkey"),
    *(r"\d pg_am", r"\d+ pg_type", r"\dt pg_catalog.pg_a*", r"\df pg_catalog.a*", r"\dT pg_catalog.*", r"\dC", r"\do"),
    *(r"\dS pg_tables", r"\dd", r"\db", r"\dA", r"\dL", r"\drds", r"\dRp", r"\det", r"\des", r"\dew", r"\dy", r"\dX"),
    *(r"\da pg_catalog.a*", r"\dc pg_catalog.*", r"\dF", r"\dFp", r"\dg", r"\dO", r"\dD", r"\dAc"),
]
#: What PostgreSQL knows of its files.
OWN = {"Size", "Access method"}


@pytest.mark.parametrize("command", COMMANDS)
def test_command(world: World, command: str) -> None:
    queries = world.psql(command)
    assert queries
    numbers = dict(world.named_oids().values())
    names = {ours: theirs for theirs, ours in numbers.items()}
    for sql in queries:
        here = re.sub(r"'(\d+)'", lambda match: f"'{numbers.get(int(match[1]), int(match[1]))}'", sql)
        columns, rows = world.ours(here)
        their_columns, their_rows = world.theirs(sql)
        assert columns == their_columns
        assert world.our_types(here) == world.their_types(sql)
        hidden = [i for i, name in enumerate(columns) if name in OWN]
        shown = [tuple(_shown(names.get(v, v) if isinstance(v, int) else v) for v in row) for row in rows]
        theirs = [tuple(map(_shown, row)) for row in their_rows]
        assert _without(shown, hidden) == _without(theirs, hidden)


def _shown(value: object) -> object:
    return str(value) if value is not None else None


def _without(rows: list[tuple[object, ...]], columns: list[int]) -> list[tuple[object, ...]]:
    return [tuple(value for i, value in enumerate(row) if i not in columns) for row in rows]
