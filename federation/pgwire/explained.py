"""EXPLAIN as programs read it that ask PostgreSQL: what is expected of the answer stands in the first line of the
text. As JSON it is the federation's own, in one value."""

from __future__ import annotations

import json

from federation.pgwire.answers import Columns, text_columns
from federation.pgwire.types import JSON, PgType
from federation.planner.costs import SECONDS_PER_COST
from federation.planner.explain import Explanation

# What PostgreSQL assumes of tables of which it knows nothing.
ROWS = 1000
VALUE_BYTES = 32
COST_PER_ROW = 0.01


def plan_columns(form: str) -> Columns:
    """`form` is json or text."""
    text = text_columns("QUERY PLAN")
    return text if form == "text" else Columns(text.schema, [PgType(JSON, -1)])


def explained(explanation: Explanation, form: str) -> list[str]:
    """The values of an EXPLAIN: one, or one for each line of a text."""
    if form == "json":
        return [json.dumps(explanation.to_json(), indent=2, ensure_ascii=False)]
    first, *others = explanation.text().splitlines()
    return [f"{first}{_expected(explanation)}", *others]


def _expected(explanation: Explanation) -> str:
    """In the form of PostgreSQL; a cost is in its units, too. Most of it is waiting, for the first row too."""
    expected = explanation.expected
    if expected is None:
        return ""
    rows = ROWS if expected.rows is None else max(1, round(expected.rows))
    width = round(expected.bytes / rows) if expected.bytes else VALUE_BYTES * len(explanation.columns)
    cost = rows * COST_PER_ROW if expected.seconds is None else expected.seconds / SECONDS_PER_COST
    return f"  (cost={cost:.2f}..{cost:.2f} rows={rows} width={width})"
