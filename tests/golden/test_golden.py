"""Every golden case: `pytest tests/golden --rewrite` writes what comes out, and the diff is what is reviewed.

bind    the statement after names, views, CTEs, stars and dates were resolved
plan    what runs where, and why; pushdown on and off must give the same rows
query   the plan, what each source was asked, and the rows
error   the error
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pytest
from sqlglot import exp

from adapters.duck import Duck
from adapters.errors import Error
from federation.bind import Binder
from federation.local import LocalSchema
from federation.normalize import normalize
from federation.parse import parse
from tests.golden.dataset import Golden
from tests.golden.format import Case, read_cases, write_cases

FOLDER = Path(__file__).parent
FILES = sorted(FOLDER.glob("*/*.test"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_golden(path: Path, golden: Golden, request: pytest.FixtureRequest) -> None:
    show = {"bind": show_binding, "plan": show_plan, "query": show_query, "error": show_error}[path.parent.name]
    text = path.read_text(encoding="utf-8")
    actual = write_cases([case.render(show(golden, case)) for case in read_cases(text)])
    if request.config.getoption("--rewrite", False):
        path.write_text(actual, encoding="utf-8")
        return
    assert actual == text


def test_every_kind_of_case_exists() -> None:
    assert {path.parent.name for path in FILES} == {"bind", "plan", "query", "error"}


def show_binding(golden: Golden, case: Case) -> Mapping[str, str]:
    paths = [path for each in golden.adapters.values() if hasattr(each, "local_paths") for path in each.local_paths()]
    duck = Duck(paths)
    try:
        local = LocalSchema(duck)
        bound = Binder(golden.engine.catalog, local).bind(parse(case.sql))
        columns = {name: local.columns(name) for name in bound.tables}
        normalized = normalize(bound.query, columns, local.evaluate)
    finally:
        duck.close()
    named = [
        f"{name} = {each.source.name}.{each.table.name.schema}.{each.table.name.name}"
        for name, each in bound.tables.items()
    ]
    return {
        "tables": "\n".join(named),
        "bound": _pretty(bound.query),
        "normalized": _pretty(normalized) if normalized is not None else "not in a form that the planner reads",
    }


def _plan(golden: Golden, case: Case) -> str:
    """Without what is expected of each fragment, which differs from one version of a server to another."""
    return re.sub(r" \(expected [^)]*\)", "", golden.engine.explain(case.sql).text())


def show_plan(golden: Golden, case: Case) -> Mapping[str, str]:
    pushed, _ = _run(golden, case)
    return {"plan": _plan(golden, case), "rows": str(pushed.num_rows)}


def show_query(golden: Golden, case: Case) -> Mapping[str, str]:
    rows, requests = _run(golden, case)
    return {"plan": _plan(golden, case), "requests": requests, "rows": _table(rows, case)}


def show_error(golden: Golden, case: Case) -> Mapping[str, str]:
    with pytest.raises(Error) as caught, golden.engine.query(case.sql) as result:
        result.read_all()
    error = caught.value
    shown = {"error": f"{type(error).__name__} {error.sqlstate}: {error.message}"}
    if error.source:
        shown["source"] = error.source
    if error.hint:
        shown["hint"] = error.hint
    if error.position:
        shown["position"] = f"{error.position}: {case.sql[error.position - 1 :].splitlines()[0][:40]}"
    return shown


def _run(golden: Golden, case: Case) -> tuple[pa.Table, str]:
    """The rows, and what each source was asked for them; without pushdown the rows are the same."""
    golden.forget()
    with golden.engine.query(case.sql) as result:
        pushed = result.read_all()
        types = result.types
    requests = [f"{name}: {each}" for name, adapter in golden.adapters.items() for each in sorted(adapter.requests)]
    with golden.engine.query(case.sql, options={"pushdown": False}) as result:
        plain = result.read_all()
    assert plain.schema == pushed.schema
    assert _lines(plain, case) == _lines(pushed, case)
    metadata = {"types": ", ".join(f"{name} {type_}" for name, type_ in zip(pushed.column_names, types, strict=True))}
    return pushed.replace_schema_metadata(metadata), "\n".join(requests)


def _table(rows: pa.Table, case: Case) -> str:
    return "\n".join([rows.schema.metadata[b"types"].decode(), *_lines(rows, case)])


def _lines(rows: pa.Table, case: Case) -> list[str]:
    lines = [", ".join(map(_value, row)) for row in zip(*(each.to_pylist() for each in rows.columns), strict=True)]
    return lines if parse(case.sql).args.get("order") else sorted(lines)


def _value(value: object) -> str:
    return "NULL" if value is None else repr(value) if isinstance(value, str) else str(value)


def _pretty(query: exp.Expr) -> str:
    return query.sql("duckdb", pretty=True)
