"""Apache Superset over a server, and over a PostgreSQL with the same tables: what people see is the same."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.environments import environment
from tests.pgwire.overlay_world import World
from tests.pgwire.running import Postgres

PROGRAM = Path(__file__).parent / "superset" / "run.py"
GRAINS = [
    *("PT1S", "PT5S", "PT30S", "PT1M", "PT5M", "PT10M", "PT15M", "PT30M", "PT1H"),
    *("P1D", "P1W", "P1M", "P3M", "P1Y"),
]
FILTERS: list[tuple[str, str, Any]] = [
    ("weight", ">", -1),
    ("weight", "!=", 0.1),
    ("line", "NOT IN", [2, 3]),
    ("at", "TEMPORAL_RANGE", "2020-01-01 : 2030-01-01"),
    ("at", "IS NULL", None),
    ("at", "IS NOT NULL", None),
    ("paid", "IS TRUE", None),
    ("paid", "IS FALSE", None),
    ("paid", "IN", [True, None]),
    ("code", "==", "01234567-89ab-cdef-0123-456789abcdef"),
]
TEXT_FILTERS: list[tuple[str, str, Any]] = [
    ("name", "ILIKE", "gr%"),
    ("name", "NOT LIKE", "A%"),
    ("name", "IN", ["Ada", "it's"]),
    ("name", ">=", "Ada"),
]
FILTER = ("col", "op", "val")
COLUMNS = ["id", "line", "customer", "paid", "at", "tags", "code", "weight", "size", "took", "due"]
SPENT = "SELECT c.name, o.weight, o.at FROM shop.orders o JOIN shop.customers c ON c.id = o.customer"
SUM = {"expressionType": "SIMPLE", "column": {"column_name": "weight"}, "aggregate": "SUM", "label": "heavy"}
DISTINCT = {"expressionType": "SQL", "sqlExpression": "COUNT(DISTINCT id) / 2", "label": "half"}
#: What is never the same twice.
VARYING = {
    *("id", "uuid", "query_id", "queryId", "serverId", "dbId", "db", "cancel_query", "client_id", "cache_key", "url"),
    *("changed_on", "created_on", "changed_on_humanized", "created_on_humanized", "queried_dttm", "startDttm"),
    *("endDttm", "explore_url", "edit_url", "datasource_name", "uid", "database", "perm"),
}

Requests = dict[str, tuple[str, str, Any]]


def chart(dataset: int, *queries: dict[str, Any], **more: Any) -> tuple[str, str, Any]:
    asked = {"datasource": {"id": dataset, "type": "table"}, "force": True, "queries": queries, **more}
    return "POST", "/api/v1/chart/data", asked


def browsing(database: int, uri: str) -> Requests:
    """By name, those that make a database and its datasets 1 and 2, and look at them."""
    place = f"/api/v1/database/{database}"
    made = {"database_name": f"number {database}", "sqlalchemy_uri": uri, "expose_in_sqllab": True}
    made["extra"] = json.dumps({"cost_estimate_enabled": True})
    orders = {"database": database, "schema": "shop", "table_name": "orders"}
    return {
        "test": ("POST", "/api/v1/database/test_connection/", {"database_name": "one", "sqlalchemy_uri": uri}),
        "connect": ("POST", "/api/v1/database/", made),
        "catalogs": ("GET", f"{place}/catalogs/", None),
        "schemas": ("GET", f"{place}/schemas/?q=(force:!t)", None),
        "tables": ("GET", f"{place}/tables/?q=(schema_name:shop,force:!t)", None),
        **{
            f"metadata of {name}": ("GET", f"{place}/table_metadata/?schema=shop&name={quote(name)}", None)
            for name in ("customers", "orders", "Odd Name")
        },
        "preview": ("GET", f"{place}/select_star/orders/shop/", None),
        "dataset": ("POST", "/api/v1/dataset/", orders),
        "virtual": ("POST", "/api/v1/dataset/", {**orders, "table_name": "spent", "sql": SPENT}),
        "columns": ("GET", "/api/v1/dataset/1", None),
        "virtual columns": ("GET", "/api/v1/dataset/2", None),
        "sync": ("PUT", "/api/v1/dataset/1/refresh", None),
        "values": ("GET", "/api/v1/datasource/table/1/column/customer/values/", None),
    }


def charts() -> Requests:
    """What the charts of dataset 1, the orders, and 2, a query, ask."""
    base = {"columnType": "BASE_AXIS", "sqlExpression": "at", "label": "at", "expressionType": "SQL"}
    grained = [
        {"columns": [{**base, "timeGrain": grain}], "metrics": ["count"], "orderby": [["count", True], ["at", True]]}
        for grain in GRAINS
    ]
    plain = {"columns": ["id", "line"], "orderby": [["id", True], ["line", True]]}
    by_name = {"columns": ["name"], "metrics": ["count", SUM], "orderby": [["name", True]]}
    bar = {
        **{"columns": ["customer"], "metrics": ["count", SUM, DISTINCT], "orderby": [["count", False]]},
        **{"filters": [{"col": "line", "op": "IN", "val": [1, 2]}], "row_limit": 10},
        "extras": {"having": "count(*) > 0", "where": "line < 10"},
    }
    period = {**grained[0], "granularity": "at", "time_range": "2024-01-01 : 2025-01-01", "row_limit": 5}
    top = {"series_columns": ["name"], "series_limit": 1, "series_limit_metric": SUM}
    return {
        "bar": chart(1, bar),
        "line": chart(1, *grained),
        "time range": chart(1, period),
        "filters": chart(1, *({**plain, "filters": [dict(zip(FILTER, each, strict=True))]} for each in FILTERS)),
        "text filters": chart(
            2, *({**by_name, "filters": [dict(zip(FILTER, each, strict=True))]} for each in TEXT_FILTERS)
        ),
        "table": chart(1, {"columns": COLUMNS, "orderby": plain["orderby"], "row_limit": 2, "row_offset": 1}),
        "top series": chart(2, {**by_name, "columns": [{**base, "timeGrain": "P1Y"}, "name"], **top}),
        "count": chart(1, {"columns": ["customer"], "metrics": ["count"], "is_rowcount": True}),
        "samples": chart(1, {"columns": [], "orderby": plain["orderby"]}, result_type="samples"),
        "csv": chart(1, {**plain, "metrics": ["count"]}, result_format="csv"),
    }


def lab(database: int) -> Requests:
    """What people type."""
    texts = {
        "all": "SELECT * FROM orders ORDER BY id, line",
        "two statements": f"SELECT 1 AS one; {SPENT} ORDER BY weight NULLS FIRST, at",
        "empty": "SELECT id, name, born, score, seen FROM shop.customers WHERE id > 99",
        "no column": "SELECT id,\n nothing FROM shop.customers",
        "no table": "SELECT id FROM shop.nothing",
        "division": "SELECT 1 / (id - 1) FROM shop.customers",
        "written": "CREATE TABLE shop.mine AS SELECT 1",
    }
    at = {"database_id": database, "schema": "shop"}
    requests: Requests = {}
    for number, (name, sql) in enumerate(texts.items()):
        asked = {**at, "sql": sql, "client_id": f"lab-{database}-{number}", "runAsync": False}
        requests[name] = ("POST", "/api/v1/sqllab/execute/", asked)
    requests["lab's csv"] = ("GET", f"/api/v1/sqllab/export/lab-{database}-0/", None)
    requests["estimate"] = ("POST", "/api/v1/sqllab/estimate/", {**at, "sql": SPENT})
    return requests


def essence(body: str) -> Any:
    """Of an answer in JSON, without what varies."""

    def kept(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: kept(each) for key, each in value.items() if key not in VARYING}
        return [kept(each) for each in value] if isinstance(value, list) else value

    try:
        return kept(json.loads(body))
    except ValueError:
        return body


def run(home: Path, *arguments: str, given: str = "") -> str:
    variables = {**os.environ, "SUPERSET_HOME": str(home), "SUPERSET_SECRET_KEY": "for the tests alone"}
    command: list[str | Path] = [environment("superset"), PROGRAM, *arguments]
    done = subprocess.run(command, input=given, capture_output=True, text=True, env=variables, cwd=home)
    assert done.returncode == 0, done.stderr[-5000:]
    return done.stdout


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with Superset's database, as it is after its set-up: that takes longest, and is kept."""
    kept = environment("superset").parents[1] / "home"
    if not kept.exists():
        made = Path(tempfile.mkdtemp(dir=kept.parent))
        run(made, "init")
        made.rename(kept)
    shutil.copytree(kept, tmp_path, dirs_exist_ok=True)
    return tmp_path


Answers = dict[str, tuple[int, Any]]


@pytest.fixture
def answers(world: World, catalog_face: Postgres, home: Path) -> tuple[Answers, Answers]:
    """Ours, and PostgreSQL's."""
    databases = [f"postgresql://somebody@127.0.0.1:{catalog_face.port}/overlay", world.uri]
    deleted: Requests = {"deleted": ("DELETE", "/api/v1/dataset/?q=!(1,2)", None)}  # the next ones get their numbers
    asked = [browsing(number, uri) | charts() | lab(number) | deleted for number, uri in enumerate(databases, 1)]
    given = json.dumps([each for one in asked for each in one.values()])
    found = [(status, essence(body)) for status, body in json.loads(run(home, "ask", given=given).splitlines()[-1])]
    ours, theirs = (dict(zip(one, found[i * len(one) :], strict=False)) for i, one in enumerate(asked))
    return ours, theirs


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_superset(answers: tuple[Answers, Answers]) -> None:
    ours, theirs = answers
    assert {name for name, (status, _) in ours.items() if status >= 400} == {
        *("no column", "no table", "division", "written")
    }, ours
    assert ours.pop("catalogs") == (200, {"result": ["overlay"]})
    for one in answers:
        one.pop("connect")
        one["values"][1]["result"].sort()  # which have no order
        (cost,) = one.pop("estimate")[1]["result"]
        assert float(cost["Total cost"]) >= float(cost["Start-up cost"]) >= 0
    assert "there is no table" in str(ours.pop("no table"))
    for name in ours:
        assert ours[name] == theirs[name], name
