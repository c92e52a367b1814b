"""A join supplies the values of a required filter: what the web API is asked, and what comes out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.errors import RequiredFilterMissing, SourceUnavailable
from federation.engine import Engine
from tests.adapters.rest_server import TOKEN, Resource, RestServer

CONTACTS = [{"id": n, "account_id": n % 10, "email": f"c{n}@example.com"} for n in range(50)]
ACCOUNTS: list[dict[str, Any]] = [
    {"key": 1, "name": "one", "region": "EU"},
    {"key": 2, "name": "two", "region": "EU"},
    {"key": 2, "name": "two again", "region": "EU"},
    {"key": 5, "name": "five", "region": "US"},
    {"key": 77, "name": "nobody there", "region": "EU"},
    {"key": None, "name": "no key", "region": "EU"},
]
CATALOG = """
[sources.mem]
adapter = "memory"

[sources.mem.tables]
accounts = {accounts}

[sources.crm]
adapter = "rest"
base_url = "{url}"
allow_private = true
auth = {{ kind = "bearer", token = "{token}" }}
retry = {{ attempts = 1 }}

[sources.crm.tables.contacts]
path = "/contacts"
records = "$.items"
primary_key = ["id"]
paginate = {{ kind = "page", param = "page", has_more = "$.has_more" }}
page_size = {{ param = "limit", max = 7 }}
columns = {{ id = "int64", account_id = "int64", email = "string" }}
filters.account_id = {{ param = "account_id", ops = ["=", "in"], exact = true, required = true, max_values = 3 }}
"""


@pytest.fixture
def server() -> Iterator[RestServer]:
    contacts = Resource(
        CONTACTS,
        paging="page",
        page_size=7,
        filters={"account_id": ("account_id", "in")},
        required=frozenset({"account_id"}),
        max_values=3,
    )
    with RestServer({"/contacts": contacts}) as server:
        yield server


@pytest.fixture
def engine(server: RestServer, tmp_path: Path) -> Iterator[Engine]:
    rows = ", ".join(
        "{ " + ", ".join(f"{k} = {json.dumps(v)}" for k, v in row.items() if v is not None) + " }" for row in ACCOUNTS
    )
    path = tmp_path / "federation.toml"
    path.write_text(CATALOG.format(accounts=f"[{rows}]", url=server.url, token=TOKEN), encoding="utf-8")
    with Engine.open(path) as engine:
        yield engine


def rows_of(engine: Engine, sql: str) -> list[tuple[Any, ...]]:
    with engine.query(sql) as result:
        rows = result.read_all().to_pydict()
    return sorted(zip(*rows.values(), strict=True), key=repr)


def expected(*, outer: bool, region: str = "EU") -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    for account in ACCOUNTS:
        if account["region"] == region:
            ids = [each["id"] for each in CONTACTS if each["account_id"] == account["key"]]
            rows += [(account["name"], id_) for id_ in (ids or ([None] if outer else []))]
    return sorted(rows, key=repr)


def asked(server: RestServer) -> list[str]:
    return sorted({entry.split("?account_id=")[1].split("&")[0] for entry in server.journal})


@pytest.mark.parametrize("join", ["JOIN", "LEFT JOIN"])
def test_the_keys_of_the_other_side_are_asked_for_and_no_others(engine: Engine, server: RestServer, join: str) -> None:
    sql = f"SELECT a.name, c.id FROM mem.accounts a {join} crm.contacts c ON c.account_id = a.key WHERE a.region = 'EU'"
    assert rows_of(engine, sql) == expected(outer=join == "LEFT JOIN")
    assert sorted(int(key) for part in asked(server) for key in part.split(",")) == [1, 2, 77]


def test_a_subquery_supplies_them_too(engine: Engine, server: RestServer) -> None:
    sql = "SELECT id FROM crm.contacts WHERE account_id IN (SELECT key FROM mem.accounts WHERE region = 'US')"
    assert [id_ for (id_,) in rows_of(engine, sql)] == sorted((n for n in range(50) if n % 10 == 5), key=repr)
    assert asked(server) == ["5"]


def test_no_keys_are_no_request(engine: Engine, server: RestServer) -> None:
    sql = "SELECT c.id FROM mem.accounts a JOIN crm.contacts c ON c.account_id = a.key WHERE a.region = 'nowhere'"
    assert rows_of(engine, sql) == []
    assert server.journal == []


def test_an_aggregate_over_the_join(engine: Engine) -> None:
    sql = "SELECT a.name, count(c.id) FROM mem.accounts a JOIN crm.contacts c ON c.account_id = a.key GROUP BY a.name"
    assert rows_of(engine, sql) == [("five", 5), ("one", 5), ("two again", 5), ("two", 5)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM crm.contacts",
        "SELECT * FROM crm.contacts WHERE account_id > 5",
        "SELECT * FROM crm.contacts WHERE account_id = 1 OR id = 5",
        "SELECT * FROM mem.accounts a RIGHT JOIN crm.contacts c ON c.account_id = a.key",
    ],
)
def test_without_a_value_there_is_no_answer(engine: Engine, server: RestServer, sql: str) -> None:
    with pytest.raises(RequiredFilterMissing) as caught:
        rows_of(engine, sql)
    assert "account_id" in caught.value.message
    assert server.journal == []


def test_a_failure_in_a_later_batch_fails_the_query(engine: Engine, server: RestServer) -> None:
    server.every = (3, "503")
    with pytest.raises(SourceUnavailable) as caught:
        rows_of(engine, "SELECT c.id FROM mem.accounts a JOIN crm.contacts c ON c.account_id = a.key")
    assert caught.value.source == "crm"


def test_the_plan_shows_the_request_and_no_token(engine: Engine) -> None:
    text = engine.explain("SELECT email FROM crm.contacts WHERE account_id IN (1, 2)").text()
    assert "GET /contacts?account_id=1,2&limit=7 (paged)" in text
    assert TOKEN not in text
