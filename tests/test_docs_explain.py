"""docs/explain.md names every key of the JSON, with its type, and every reason; its example is what EXPLAIN prints."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from federation.engine import Engine
from federation.planner.optimizations import Optimization

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "explain.md").read_text(encoding="utf-8")
TYPES: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "integer": (int,),
    "number": (int, float),
    "list": (list,),
    "object": (dict,),
    "null": (type(None),),
}
CATALOG = """
[sources.lite]
adapter = "sqlite"
path = "crm.db"

[sources.csv]
adapter = "files"
path = "regions.csv"

[[sources.mem.tables.keys]]
id = 1
name = "one"

[sources.mem]
adapter = "memory"

[sources.api]
adapter = "rest"
base_url = "https://api.example.org"

[sources.api.tables.contacts]
path = "/contacts"
columns = { person = "int64", email = "string" }
filters = { person = { param = "person", ops = ["in"], required = true } }
"""
#: is not run: nothing answers at its source
JOINED = "SELECT c.email FROM lite.people AS p JOIN api.contacts AS c ON c.person = p.id"
QUERIES = [
    "SELECT 1 AS one",
    "SELECT name FROM lite.people WHERE id = 2",
    "SELECT p.name, length(p.name) AS long FROM lite.people AS p WHERE p.id = 2 AND length(p.name) > 1",
    "SELECT p.name FROM lite.people AS p JOIN mem.keys AS k ON k.id = p.id JOIN csv.regions AS r ON r.id = k.id",
    "SELECT nullif((SELECT max(id) FROM mem.keys), 2) AS id",
    "SELECT * FROM mem.keys LIMIT 1",
    "SELECT * FROM mem.keys WHERE id = 77",
]


def keys(heading: str) -> dict[str, list[str]]:
    """The keys of the table below a heading, and the types that each may have."""
    section = re.split(r"^## ", PAGE.partition(f"\n## {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    rows = re.findall(r"^\| `(\w+)` \| ([a-z ]+) \| .+ \|$", section, re.MULTILINE)
    assert rows, f"docs/explain.md has no table of keys under {heading}"
    return {key: kinds.split(" or ") for key, kinds in rows}


def check(found: dict[str, Any], heading: str, without: tuple[str, ...] = ()) -> None:
    expected = keys(heading)
    assert list(found) == [key for key in expected if key not in without]
    for key, value in found.items():
        allowed = tuple(type_ for kind in expected[key] for type_ in TYPES[kind])
        assert type(value) in allowed, f"{key} is {value!r}"


def check_plan(plan: dict[str, Any], *, analyzed: bool) -> None:
    check(plan, "The plan")
    for key, heading in (("columns", "A column"), ("stages", "A stage"), ("local_scans", "A local scan")):
        for each in plan[key]:
            check(each, heading)
    for note in plan["notes"]:
        check_note(note)
    for fragment in plan["fragments"]:
        scan = () if fragment["kind"] == "TableScan" else ("table", "limit")
        check(fragment, "A fragment", scan if analyzed else (*scan, "actual"))
        for note in fragment["notes"]:
            check_note(note)
        for each in fragment["runtime_filters"]:
            check(each, "A runtime filter")
        if fragment["freshness"] is not None:
            check(fragment["freshness"], "Freshness")
            assert f"`{fragment['freshness']['state']}`:" in PAGE
        if analyzed:
            check(fragment["actual"], "What it cost")


def check_note(note: dict[str, str]) -> None:
    check(note, "A note")
    assert f"`{note['where']}`:" in PAGE
    assert note["reason"] in reasons()


def reasons() -> set[str]:
    return set(re.findall(r"^\| `([A-Z_]+)` \|", PAGE, re.MULTILINE))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("explain")
    with sqlite3.connect(folder / "crm.db") as database:
        database.execute("CREATE TABLE people (id INTEGER NOT NULL, name TEXT) STRICT")
        database.executemany("INSERT INTO people VALUES (?, ?)", [(1, "Ada"), (2, "Bo")])
    database.close()
    (folder / "regions.csv").write_text("id,region\n1,north\n2,south\n", encoding="utf-8")
    (folder / "federation.toml").write_text(CATALOG, encoding="utf-8")
    with Engine.open(folder) as opened:
        yield opened


@pytest.mark.parametrize("sql", QUERIES)
@pytest.mark.parametrize("analyze", [False, True], ids=["plan", "analyze"])
def test_the_keys_are_those_of_the_page(engine: Engine, sql: str, analyze: bool) -> None:
    plan = engine.explain(sql, analyze=analyze).to_json()
    check_plan(plan, analyzed=analyze)
    assert (plan["rows"] is not None) == analyze


def test_the_keys_of_a_runtime_filter(engine: Engine) -> None:
    plan = engine.explain(JOINED).to_json()
    check_plan(plan, analyzed=False)
    assert [len(fragment["runtime_filters"]) for fragment in plan["fragments"]] == [0, 1]


def test_the_queries_have_every_part(engine: Engine) -> None:
    """Otherwise the test above would hold for what no plan has."""
    plans = [engine.explain(sql).to_json() for sql in QUERIES]
    fragments = [fragment for plan in plans for fragment in plan["fragments"]]
    assert {fragment["kind"] for fragment in fragments} == {"RemoteQuery", "TableScan"}
    assert any(fragment["notes"] for fragment in fragments)
    assert all(any(plan[key] for plan in plans) for key in ("columns", "stages", "local_scans", "fragments", "notes"))
    assert {plan["local_query"] is None for plan in plans} == {True, False}


def test_the_example_is_what_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "examples" / "demo"))
    import_module("company").write_data(tmp_path)
    for name, value in (("DEMO_DATA", str(tmp_path)), ("CRM_PORT", "1"), ("CRM_TOKEN", "token")):
        monkeypatch.setenv(name, value)
    example = re.search(r"```sql\n(.*?)```\n\n```text\n(.*?)```", PAGE, re.DOTALL)
    assert example
    with Engine.open(ROOT / "examples" / "demo" / "federation.toml") as demo:
        printed = " ".join(demo.explain(example[1]).text().split())
    assert re.fullmatch(".*".join(map(re.escape, " ".join(example[2].split()).split("…"))), printed), printed


def test_every_reason_that_is_given_is_documented() -> None:
    sources = [path for package in ("adapters", "federation") for path in (ROOT / package).rglob("*.py")]
    given = {name for path in sources for name in re.findall(r"\bReason\.([A-Z_]+)", path.read_text(encoding="utf-8"))}
    assert given == reasons()


def test_every_optimization_is_documented() -> None:
    section = PAGE.partition("\n## Optimisations\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| .+ \| .+ \|$", section, re.MULTILINE)
    assert rows == [str(each) for each in Optimization]
