"""Writes `data/` anew from a real PostgreSQL: `python -m federation.pgwire.overlay.generate postgresql://…`.

Run at development time, against a server of the version that the overlay speaks for, freshly initialised. Each catalog
table with rows becomes a Parquet file; further ones hold what PostgreSQL says of its objects in words. What depends on
that server's own state, its paths or its locales is left out.
"""

from __future__ import annotations

import sys

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from psycopg import sql

from federation.pgwire.overlay.catalog_types import FILES, arrow_type

MAJOR = 15
SCHEMAS = ("pg_catalog", "information_schema")

#: Catalogs whose rows are that server's own, or dynamic here.
OWN = {
    *("pg_authid", "pg_auth_members", "pg_database", "pg_init_privs", "pg_rewrite", "pg_shdescription", "pg_shdepend"),
    *("pg_statistic", "pg_depend"),
}
#: Views over functions that no query can stand for. Their rows are kept where they say what PostgreSQL is like.
STORED = ("pg_settings", "pg_config", "pg_available_extensions", "pg_available_extension_versions")

#: Objects of a schema that is not PostgreSQL's, and collations that depend on the operating system.
KEEP = {
    "pg_namespace": "nspname <> 'public'",
    "pg_collation": "oid < 10000",
    "pg_settings": "category !~ '^(File Locations|Customized|Preset)' OR name IN ('server_version', 'server_encoding',"
    " 'server_version_num', 'integer_datetimes', 'max_identifier_length', 'max_index_keys', 'block_size')",
    "pg_available_extensions": "name = 'plpgsql'",
    "pg_available_extension_versions": "name = 'plpgsql'",
    "pg_config": "name = 'VERSION'",
}
#: Values that an installation has of its own.
INSTEAD = {
    ("pg_class", "relpages"): "0",
    ("pg_class", "reltuples"): "-1",
    ("pg_class", "relallvisible"): "0",
    ("pg_class", "relfrozenxid"): "0",
    ("pg_class", "relminmxid"): "0",
    ("pg_settings", "setting"): "CASE WHEN category ~ '^Preset' THEN setting ELSE boot_val END",
    ("pg_settings", "reset_val"): "CASE WHEN category ~ '^Preset' THEN reset_val ELSE boot_val END",
    ("pg_settings", "source"): "'default'",
    ("pg_settings", "sourcefile"): "NULL",
    ("pg_settings", "sourceline"): "NULL",
    ("pg_settings", "pending_restart"): "false",
}

COLUMNS = """
SELECT n.nspname, c.relname, array_agg(a.attname::text ORDER BY attnum), array_agg(t.typname::text ORDER BY attnum)
FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace JOIN pg_attribute a ON attrelid = c.oid
JOIN pg_type t ON t.oid = atttypid
WHERE nspname = ANY (%s) AND (relkind = 'r' OR nspname = 'pg_catalog' AND relname = ANY (%s)) AND attnum > 0
GROUP BY 1, 2 ORDER BY 1, 2
"""
#: What PostgreSQL says of its own objects in words, by their numbers.
TEXTS = {
    "view_texts": """SELECT oid::int8, pg_get_viewdef(oid) AS definition FROM pg_class
        WHERE relkind = 'v' AND relnamespace = ANY (%s::regnamespace[]) ORDER BY 1""",
    "index_texts": "SELECT indexrelid::int8 AS oid, pg_get_indexdef(indexrelid) AS definition FROM pg_index ORDER BY 1",
    "constraint_texts": "SELECT oid::int8, pg_get_constraintdef(oid) AS definition FROM pg_constraint ORDER BY 1",
    "type_names": "SELECT oid::int8, format_type(oid, NULL) AS name FROM pg_type ORDER BY 1",
    "function_texts": """SELECT oid::int8, pg_get_function_arguments(oid) AS arguments,
        pg_get_function_identity_arguments(oid) AS identity, pg_get_function_result(oid) AS result
        FROM pg_proc ORDER BY 1""",
    "keywords": "SELECT word, catcode::text FROM pg_get_keywords() ORDER BY 1",
}
#: How a type without an Arrow counterpart is read.
CASTS = {
    **{"int2vector": "int2[]", "oidvector": "oid[]", "regproc": "oid", "regtype": "oid", "_regtype": "oid[]"},
    **{"cardinal_number": "int4", "time_stamp": "timestamptz"},
}


def main() -> None:
    with psycopg.connect(sys.argv[1]) as connection:
        if connection.info.server_version // 10000 != MAJOR:
            raise SystemExit(f"a PostgreSQL {MAJOR} is wanted")
        FILES.mkdir(exist_ok=True)
        for file in FILES.glob("*.parquet"):
            file.unlink()
        for schema, relation, columns, types in connection.execute(COLUMNS, [list(SCHEMAS), list(STORED)]).fetchall():
            if relation not in OWN:
                _write(f"{schema}.{relation}", _rows(connection, schema, relation, columns, types))
        for name, query in TEXTS.items():
            found = connection.execute(query, [list(SCHEMAS)] if "%s" in query else None)
            columns = [each.name for each in found.description or ()]
            rows = found.fetchall()
            types = [pa.uint32() if column == "oid" else pa.string() for column in columns]
            arrays = [pa.array([row[i] for row in rows], type_) for i, type_ in enumerate(types)]
            _write(name, pa.table(arrays, names=columns))


def _rows(connection: psycopg.Connection, schema: str, relation: str, columns: list[str], types: list[str]) -> pa.Table:
    items = [_read(relation, column, type_) for column, type_ in zip(columns, types, strict=True)]
    query = sql.SQL("SELECT {} FROM {} WHERE {} ORDER BY {}").format(
        sql.SQL(", ").join(items),
        sql.Identifier(schema, relation),
        sql.SQL(KEEP.get(relation, "true")),
        sql.SQL(", ").join(map(sql.Literal, range(1, min(len(columns), 4) + 1))),
    )
    found = connection.execute(query).fetchall()
    arrays = [pa.array([row[i] for row in found], arrow_type(type_)) for i, type_ in enumerate(types)]
    return pa.table(arrays, names=columns)


def _read(relation: str, column: str, type_: str) -> sql.Composable:
    instead = INSTEAD.get((relation, column))
    if type_ == "pg_node_tree":
        instead = "NULL"  # the server's own notation, of no use to anybody else
    value = sql.SQL(instead) if instead is not None else sql.Identifier(column)
    wanted = arrow_type(type_)
    if wanted == pa.string():
        return sql.SQL("{}::text").format(value)
    if wanted == pa.list_(pa.string()):
        return sql.SQL("{}::text[]").format(value)
    if type_ in ("xid", "cid"):
        return sql.SQL("{}::text::int8").format(value)
    return sql.SQL("{}::" + CASTS.get(type_, type_)).format(value)


def _write(name: str, table: pa.Table) -> None:
    if table.num_rows:
        pq.write_table(table, FILES / f"{name}.parquet", compression="zstd", store_schema=False)


if __name__ == "__main__":
    main()
