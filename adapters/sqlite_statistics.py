"""What SQLite knows of a table: sqlite_stat1 after an ANALYZE, and otherwise what its row numbers tell."""

from __future__ import annotations

from sqlglot import exp

from adapters.base import ColumnStatistics, Table, TableStatistics
from adapters.sqlite_schema import SCHEMA, Rows

_FIRST = 100  # rows that are looked at, by their numbers alone
_LEAST_BYTES = 5  # of a row without columns, its place in the page included


def read_statistics(rows: Rows, table: Table) -> TableStatistics:
    """Of views and virtual tables nothing is known."""
    text = exp.Literal.string(table.name.name).sql("sqlite")
    (about,) = rows(f"SELECT type, wr FROM pragma_table_list WHERE schema = 'main' AND name = {text}")
    if about[0] in ("view", "virtual"):
        return TableStatistics()
    indexes = rows(f"SELECT name, origin, partial FROM pragma_index_list({text}, 'main')")
    rowid = None if about[1] else _rowid(table, own_index=any(origin == "pk" for _, origin, _ in indexes))
    first, last, count = _by_number(rows, table, rowid) if rowid else (None, None, None)
    stat = _analyzed(rows, text)
    count = max((numbers[0] for numbers in stat.values()), default=count)
    columns: dict[str, ColumnStatistics] = {}
    if count:
        whole = {name for name, _, partial in indexes if not partial}
        for index, numbers in stat.items():
            column = _first_column(rows, table, index) if index in whole or index == table.name.name else None
            if column and len(numbers) > 1 and numbers[1]:
                columns[column] = ColumnStatistics(distinct=count / numbers[1])
        if rowid in table.primary_key:
            columns[rowid] = ColumnStatistics(distinct=count, null_fraction=0, minimum=first, maximum=last)
    return TableStatistics(count, None, columns)


def _rowid(table: Table, *, own_index: bool) -> str | None:
    """A name of the row's number: its INTEGER PRIMARY KEY, or a word that is not the name of a column."""
    if len(table.primary_key) == 1 and not own_index:
        (key,) = table.primary_key
        if table.column(key).source_type.upper() == "INTEGER":
            return key
    names = {column.name.lower() for column in table.columns}
    return next((name for name in ("rowid", "_rowid_", "oid") if name not in names), None)


def _by_number(rows: Rows, table: Table, rowid: str) -> tuple[int | None, int | None, float]:
    """The first and the last number, and how many rows there are if all lie as close as the first ones. Numbers may
    be far apart: more rows than the file has room for there are not."""
    source = exp.table_(table.name.name, db=SCHEMA, quoted=True).sql("sqlite")
    number = exp.to_identifier(rowid, quoted=True).sql("sqlite")
    # One by one: SQLite would look for both ends of one SELECT by reading everything.
    ((first, last, near, seen, size),) = rows(
        f"SELECT (SELECT min({number}) FROM {source}), (SELECT max({number}) FROM {source}), max(n), count(*),"
        " (SELECT page_count * page_size FROM pragma_page_count, pragma_page_size)"
        f" FROM (SELECT {number} AS n FROM {source} ORDER BY {number} LIMIT {_FIRST})"
    )
    if seen < _FIRST:
        return first, last, seen
    count = (last - first + 1) * seen / (near - first + 1)
    return first, last, max(min(count, size / (_LEAST_BYTES + len(table.columns))), seen)


def _analyzed(rows: Rows, table: str) -> dict[str | None, list[int]]:
    """For each index (None for the table itself): the rows, then the rows for each value of its first columns."""
    if not rows("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat1'"):
        return {}
    found = rows(f"SELECT idx, stat FROM sqlite_stat1 WHERE tbl = {table} AND typeof(stat) = 'text'")
    numbers = {index: [int(word) for word in stat.split() if word.isdecimal()] for index, stat in found}
    return {index: each for index, each in numbers.items() if each}


def _first_column(rows: Rows, table: Table, index: str | None) -> str | None:
    """None for an expression. A table WITHOUT ROWID is an index of its own name."""
    if index == table.name.name:
        return table.primary_key[0] if table.primary_key else None
    text = exp.Literal.string(index or "").sql("sqlite")
    found = rows(f"SELECT name FROM pragma_index_xinfo({text}, 'main') WHERE seqno = 0 AND cid >= 0")
    return found[0][0] if found else None
