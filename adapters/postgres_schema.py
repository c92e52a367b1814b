"""What a PostgreSQL database holds, from pg_catalog: one round trip for the list of tables, one for a table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from sqlglot import exp

from adapters.base import Collation, Column, Estimate, ForeignKey, Table, TableName
from adapters.postgres_types import STAND_INS, arrow_type

LIST_TABLES = """
SELECT pg_catalog.json_agg(pg_catalog.json_build_array(n.nspname, c.relname) ORDER BY n.nspname, c.relname)::text
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
"""

#: The shape of a relation, as far as a plan depends on it. Columns that are added later do not matter.
_SHAPE = """
SELECT pg_catalog.md5(pg_catalog.string_agg(pg_catalog.concat_ws(' ',
  attnum, attname, atttypid, atttypmod, attnotnull, attcollation), ',' ORDER BY attnum))
FROM pg_catalog.pg_attribute WHERE attrelid = {oid} AND attnum BETWEEN 1 AND {count} AND NOT attisdropped
"""

# Of tables, and of what views read and partitions hold: whatever of it MVCC does not keep for an old snapshot.
_STATE = """
WITH RECURSIVE reached (oid) AS (
  SELECT oid::oid FROM pg_catalog.unnest(ARRAY[{names}]) AS named (oid) WHERE oid IS NOT NULL
  UNION
  SELECT further.oid FROM reached CROSS JOIN LATERAL (
    SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = reached.oid
    UNION ALL
    SELECT d.refobjid FROM pg_catalog.pg_class v
    JOIN pg_catalog.pg_rewrite w ON w.ev_class = v.oid
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = w.oid
      AND d.refclassid = 'pg_catalog.pg_class'::regclass
    WHERE v.oid = reached.oid AND v.relkind = 'v'
  ) AS further (oid)
)
SELECT pg_catalog.json_build_object(
  'state', pg_catalog.md5(pg_catalog.string_agg(pg_catalog.concat_ws(' ', c.oid, c.relfilenode, c.relkind, ({shape}),
    (SELECT pg_catalog.md5(ev_action::text) FROM pg_catalog.pg_rewrite WHERE ev_class = c.oid AND c.relkind = 'v')),
    ',' ORDER BY c.oid)),
  'foreign', pg_catalog.json_agg(pg_catalog.json_build_array(n.nspname, c.relname)) FILTER (WHERE c.relkind = 'f')
)::text
FROM reached JOIN pg_catalog.pg_class c USING (oid) JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
"""

# A domain stands for its base type and an array for its element type, however deep.
_GET_TABLE = """
WITH RECURSIVE rel AS (
  SELECT c.* FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = {schema} AND c.relname = {name} AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
), att AS (
  SELECT a.* FROM pg_catalog.pg_attribute a JOIN rel ON a.attrelid = rel.oid WHERE a.attnum > 0 AND NOT a.attisdropped
), base (attnum, depth, typid, typmod, arrays) AS (
  SELECT attnum, 0, atttypid, atttypmod, 0 FROM att
  UNION ALL
  SELECT b.attnum, b.depth + 1,
    CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.typelem END,
    CASE WHEN t.typtype = 'd' AND b.typmod = -1 THEN t.typtypmod ELSE b.typmod END,
    b.arrays + (t.typtype <> 'd')::int
  FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.typid
  LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND e.typarray = t.oid
  WHERE t.typtype = 'd' OR e.oid IS NOT NULL
), final AS (
  SELECT DISTINCT ON (b.attnum) b.*, t.typname, t.typtype,
    t.typnamespace = 'pg_catalog'::regnamespace AS builtin
  FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.typid ORDER BY b.attnum, b.depth DESC
)
SELECT pg_catalog.json_build_object(
  'kind', rel.relkind, 'heap', am.amname = 'heap', 'children', rel.relhassubclass, 'rows', rel.reltuples,
  'pages', CASE WHEN rel.relkind = 'r'
    THEN pg_catalog.pg_relation_size(rel.oid) / pg_catalog.current_setting('block_size')::int8 END,
  'within', (rel.reltoastrelid = 0 OR pg_catalog.pg_relation_size(rel.reltoastrelid) = 0) AND NOT EXISTS (
    SELECT FROM att WHERE atthasmissing AND pg_catalog.pg_column_size(attmissingval) > 1000),
  'encoding', pg_catalog.getdatabaseencoding(),
  'version', pg_catalog.current_setting('server_version_num')::int,
  'comment', pg_catalog.obj_description(rel.oid, 'pg_class'),
  'count', rel.relnatts, 'shape', ({shape}),
  'locale', (SELECT pg_catalog.json_build_array(datcollate, to_jsonb(d) ->> 'datlocprovider')
    FROM pg_catalog.pg_database d WHERE datname = pg_catalog.current_database()),
  'columns', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
      'num', a.attnum, 'name', a.attname, 'type', CASE WHEN f.builtin THEN f.typname ELSE '' END,
      'typmod', f.typmod, 'arrays', f.arrays, 'required', a.attnotnull AND rel.relkind <> 'f'
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conrelid = rel.oid AND contype = 'n'
          AND conkey = ARRAY[a.attnum] AND NOT convalidated),
      'source_type', CASE f.typtype WHEN 'e' THEN 'enum ' WHEN 'c' THEN 'row ' ELSE '' END
        || pg_catalog.format_type(f.typid, f.typmod) || pg_catalog.repeat('[]', f.arrays),
      'text', f.typid IN ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype, 'name'::regtype),
      'comment', pg_catalog.col_description(rel.oid, a.attnum),
      'collation', (SELECT pg_catalog.json_build_array(collprovider, collcollate, collisdeterministic)
        FROM pg_catalog.pg_collation l WHERE l.oid = a.attcollation)) ORDER BY a.attnum)
    FROM att a JOIN final f ON f.attnum = a.attnum),
  'primary', (SELECT conkey FROM pg_catalog.pg_constraint WHERE conrelid = rel.oid AND contype = 'p'),
  'foreign', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object('columns', k.conkey,
      'schema', n.nspname, 'table', r.relname, 'referenced', (
        SELECT pg_catalog.json_agg(x.attname ORDER BY u.i)
        FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY u (num, i)
        JOIN pg_catalog.pg_attribute x ON x.attrelid = k.confrelid AND x.attnum = u.num)) ORDER BY k.conname)
    FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class r ON r.oid = k.confrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
    WHERE k.conrelid = rel.oid AND k.contype = 'f' AND k.conparentid = 0)
)::text
FROM rel LEFT JOIN pg_catalog.pg_am am ON am.oid = rel.relam
"""


@dataclass(frozen=True, slots=True)
class Described:
    """A table, and what a plan needs beside its columns. `pages` is None where ctid ranges are no partitions.
    `texts_in_pages` where all values lie in them, and texts arrive as they are there, in UTF-8."""

    table: Table
    shape: str
    column_count: int
    pages: int | None
    texts_in_pages: bool
    estimate: Estimate
    stand_ins: dict[str, str]  # column -> the type an island sees it as


def quoted(value: str) -> str:
    return exp.Literal.string(value).sql("postgres")


def relation(name: TableName) -> str:
    return exp.table_(name.name, db=name.schema or None, quoted=True).sql("postgres")


def parse_tables(text: str | None) -> Iterable[TableName]:
    return [TableName(schema, name) for schema, name in json.loads(text or "[]")]


def describe_sql(name: TableName) -> str:
    return _describe_sql(quoted(name.schema), quoted(name.name))


def describe_many_sql(names: Sequence[TableName]) -> str:
    """The same for each of several, planned once: planning takes longer than the answer."""
    listed = ", ".join(f"({quoted(name.schema)}, {quoted(name.name)})" for name in names)
    one = _describe_sql("listed.schema", "listed.name")
    found = f"SELECT listed.schema, listed.name, ({one}) AS found FROM (VALUES {listed}) AS listed (schema, name)"
    return f"SELECT pg_catalog.json_agg(pg_catalog.json_build_array(schema, name, found))::text FROM ({found}) AS each"


def _describe_sql(schema: str, name: str) -> str:
    shape = _SHAPE.format(oid="rel.oid", count="rel.relnatts")
    return _GET_TABLE.format(schema=schema, name=name, shape=shape)


def verify_sql(tables: Sequence[Described]) -> str:
    """A statement that locks the tables for the transaction and divides by zero when one has changed since.

    It touches every table, reading nothing: analysing it takes the locks, so that no TRUNCATE or ALTER comes between
    the check and the read that follows.
    """
    checks = []
    for each in tables:
        name = relation(each.table.name)
        shape = _SHAPE.format(oid=f"{quoted(name)}::regclass", count=each.column_count)
        checks.append(f"({shape}) IS NOT DISTINCT FROM {quoted(each.shape) if each.shape else 'NULL'}")
        checks.append(f"NOT EXISTS (SELECT FROM {name} WHERE false)")
    return f"SELECT 1 / ({' AND '.join(checks)})::int"


def state_sql(tables: Sequence[Described]) -> str:
    """A query whose one text is the same in an old snapshot and now only if that snapshot still shows the tables as
    they were. It names the foreign tables among them, or behind them."""
    names = ", ".join(f"pg_catalog.to_regclass({quoted(relation(each.table.name))})" for each in tables)
    return _STATE.format(names=names, shape=_SHAPE.format(oid="c.oid", count="c.relnatts"))


def parse_table(name: TableName, text: str) -> Described:
    found: dict[str, Any] = json.loads(text)
    rows = found["columns"] or []
    default = _default_collation(found["locale"])
    utf8 = found["encoding"] == "UTF8"
    columns = tuple(_column(row, default, utf8=utf8) for row in rows)
    names = {row["num"]: row["name"] for row in rows}
    keys = tuple(
        ForeignKey(
            tuple(names[each] for each in key["columns"]),
            TableName(key["schema"], key["table"]),
            tuple(key["referenced"]),
        )
        for key in found["foreign"] or []
    )
    primary = tuple(names[each] for each in found["primary"] or [])
    ranges = found["kind"] == "r" and found["heap"] and not found["children"] and found["version"] >= 140000
    return Described(
        table=Table(name, columns, primary, keys, found["comment"]),
        shape=found["shape"] or "",
        column_count=found["count"],
        pages=found["pages"] if ranges else None,
        texts_in_pages=utf8 and bool(found["within"]),
        estimate=Estimate(rows=found["rows"] if found["rows"] >= 0 else None),
        stand_ins={
            row["name"]: STAND_INS[row["type"]] for row in rows if row["type"] in STAND_INS and not row["arrays"]
        },
    )


def _column(row: Mapping[str, Any], default: Collation, *, utf8: bool) -> Column:
    """What arrives as text without being text compares as text does in this database. In another encoding than UTF-8
    texts have another order, and literals may have characters that it lacks."""
    type_ = arrow_type(row["type"], row["typmod"], row["arrays"])
    collation = _collation(row["collation"], default) if row["text"] else default
    collation = collation if utf8 else Collation.UNKNOWN
    return Column(
        name=row["name"],
        type=type_,
        nullable=not row["required"],
        source_type=row["source_type"],
        collation=collation if type_ == pa.string() else Collation.BINARY,
        comment=row["comment"],
    )


def _default_collation(locale: Sequence[str | None]) -> Collation:
    """`locale` is datcollate and, since PostgreSQL 15, the provider; a database's own collation is deterministic."""
    collate, provider = locale
    return Collation.BINARY if collate in ("C", "POSIX") and provider in (None, "c") else Collation.LOCALE


def _collation(found: Sequence[Any], default: Collation) -> Collation:
    provider, collate, deterministic = found
    if not deterministic:
        return Collation.INSENSITIVE
    if provider == "d":
        return default
    return Collation.BINARY if provider == "c" and collate in ("C", "POSIX") else Collation.LOCALE
