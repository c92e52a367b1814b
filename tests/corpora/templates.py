"""The expressions of `pushdown_corpus.tsv`, sorted by what they return and whether they can fail on the corpus."""

from __future__ import annotations

import csv
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import sqlglot
from sqlglot import exp

from tests.corpora.random_data import tables
from tests.corpora.random_scope import Col, Kind

PATH = Path(__file__).parent / "pushdown_corpus.tsv"
# Another run, another row order or another moment would be another right answer.
UNSTABLE = ("any_value", "first", "arg_max", "mode", "list", "string_agg", "approx_count_distinct", "age")


@dataclass(frozen=True)
class Template:
    """`text` refers to columns by their stored names."""

    text: str
    kind: Kind
    columns: frozenset[str]

    def over(self, scope: Sequence[Col]) -> str | None:
        """The expression over the columns in scope; None when one is not there."""
        found: dict[str, str] = {}
        for column in scope:
            if column.base in self.columns:
                found.setdefault(column.base, column.sql)
        if len(found) < len(self.columns):
            return None
        tree = sqlglot.parse_one(self.text, dialect="duckdb")
        bound = tree.transform(
            lambda node: exp.maybe_parse(found[node.name], dialect="duckdb") if is_column(node) else node
        )
        return f"({bound.sql(dialect='duckdb')})"


def is_column(node: exp.Expression) -> bool:
    return isinstance(node, exp.Column)


def corpus() -> list[tuple[str, str]]:
    """Every (kind, expression) of the file."""
    with PATH.open(newline="", encoding="utf-8") as lines:
        rows = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        next(rows)
        return [(kind, text) for kind, text, *_ in rows]


@functools.cache
def templates(wanted: str) -> Mapping[Kind, Sequence[Template]]:
    """The templates of one kind of the file, `scalar` or `agg`, that no values of the corpus make fail."""
    plain = duckdb.connect(config={"threads": 1})
    plain.execute("SET TimeZone = 'UTC'")
    _create_pools(plain)
    found: dict[Kind, list[Template]] = {}
    for kind, text in corpus():
        if kind == wanted and not text.startswith(UNSTABLE) and (template := _template(plain, text)):
            found.setdefault(template.kind, []).append(template)
    plain.close()
    return found


def _create_pools(plain: duckdb.DuckDBPyConnection) -> None:
    """One table per column with every value that the corpus stores in it."""
    parts: dict[str, list[str]] = {}
    for table in tables():
        plain.register(table.name, table.data)
        for column in table.data.column_names:
            parts.setdefault(column, []).append(f"SELECT {column} FROM {table.name}")
    for column, selects in parts.items():
        plain.execute(f"CREATE TABLE pool_{column} AS {' UNION '.join(selects)}")


def _template(plain: duckdb.DuckDBPyConnection, text: str) -> Template | None:
    columns = sorted({column.name for column in sqlglot.parse_one(text, dialect="duckdb").find_all(exp.Column)})
    source = ", ".join(f"pool_{column}" for column in columns) or "(SELECT 1)"
    try:
        relation = plain.sql(f"SELECT {text} AS v FROM {source}")
        relation.fetchall()
    except duckdb.Error:
        return None
    return Template(text, _kind(str(relation.types[0])), frozenset(columns))


def _kind(type_: str) -> Kind:
    """Integers may be large here, and doubles inexact: the former are only compared, the latter only shown."""
    if type_.startswith("DECIMAL"):
        return Kind.DEC
    if type_.endswith("INT") or type_ == "INTEGER":
        return Kind.BIG
    kinds = {"VARCHAR": Kind.TEXT, "BOOLEAN": Kind.BOOL, "DATE": Kind.DATE, "TIMESTAMP": Kind.TIME}
    return kinds.get(type_, Kind.OTHER)
