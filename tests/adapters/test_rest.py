"""The REST adapter against a strict server: the conformance suite, what is pushed, and what stays residual."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from adapters.base import CancelToken, Predicate, ScanRequest, TableName
from adapters.errors import ColumnNotFound, ConversionError, NotSupportedError, RequiredFilterMissing, SourceError
from adapters.rest import RestAdapter
from tests.adapters.conformance import NUMBERS, PEOPLE, AdapterConformance
from tests.adapters.oracle import answer, expected, read_all, rows_of
from tests.adapters.rest_server import Resource, RestServer, adapter_for, scan, values

PEOPLE_ROWS = [
    {name: str(value) if isinstance(value, datetime.date) else value for name, value in row.items()}
    for row in PEOPLE.to_pylist()
]
NUMBER_ROWS = NUMBERS.to_pylist()
PEOPLE_SPEC: dict[str, Any] = {
    "path": "/people",
    "records": "$.items",
    "primary_key": ["id"],
    "paginate": {"kind": "cursor", "param": "cursor", "next": "$.next", "has_more": "$.has_more"},
    "page_size": {"param": "limit", "max": 4},
    "get_by_key": {"path": "/people/{id}"},
    "columns": {"id": "int64", "name": "string", "score": "double", "born": "date", "note": "string"},
    "filters": {
        "name": {"param": "name", "ops": ["=", "in"], "exact": False, "max_values": 2},
        "born": [
            {"param": "born", "ops": ["="], "exact": True},
            {"param": "born_from", "ops": [">="], "exact": True},
            {"param": "born_before", "ops": ["<"], "exact": True},
        ],
    },
}
PEOPLE_FILTERS = {
    "name": ("name", "ci"),
    "born": ("born", "="),
    "born_from": ("born", ">="),
    "born_before": ("born", "<"),
}


def people(**options: Any) -> Resource:
    return Resource(PEOPLE_ROWS, paging="cursor", page_size=4, filters=PEOPLE_FILTERS, max_values=2, **options)


class TestRest(AdapterConformance):
    @pytest.fixture
    def server(self) -> Iterator[RestServer]:
        numbers = Resource(NUMBER_ROWS, key="n", paging="offset", page_size=2000)
        with RestServer({"/people": people(), "/numbers": numbers, "/doomed": people()}) as server:
            yield server

    @pytest.fixture
    def adapter(self, server: RestServer) -> Iterator[RestAdapter]:
        numbers = {
            "path": "/numbers",
            "records": "$.items",
            "primary_key": ["n"],
            "paginate": {"kind": "offset", "param": "offset", "total": "$.total"},
            "page_size": {"param": "limit", "max": 2000},
            "columns": {"n": "int64"},
        }
        tables = {"people": PEOPLE_SPEC, "numbers": numbers, "doomed": {**PEOPLE_SPEC, "path": "/doomed"}}
        adapter = adapter_for(server, tables)
        yield adapter
        adapter.close()

    @pytest.fixture
    def vanishing(self, server: RestServer) -> tuple[TableName, Callable[[], None]]:
        return TableName("main", "doomed"), lambda: server.resources.clear()


@pytest.fixture
def server() -> Iterator[RestServer]:
    contacts = [{"id": n, "account_id": n % 10, "email": f"c{n}@example.com"} for n in range(50)]
    contacts.append({"id": 99, "account_id": None, "email": "nobody@example.com"})
    resources = {
        "/people": people(),
        "/contacts": Resource(
            contacts,
            paging="page",
            page_size=7,
            filters={"account_id": ("account_id", "in")},
            required=frozenset({"account_id"}),
            max_values=3,
        ),
        "/accounts": Resource(
            [{"id": n, "full_name": f"Account {n}", "region": "EU" if n % 2 else "US, east"} for n in range(25)],
            paging="next_url",
            page_size=10,
            filters={"ids": ("id", "in"), "region": ("region", "=")},
            max_values=5,
        ),
        "/tags": Resource([{"tag": "a/b"}, {"tag": ".."}, {"tag": "x y&z?"}, {"tag": "100%"}], key="tag"),
        "/projects/7/tasks": Resource([{"id": 1, "project": 7}, {"id": 2, "project": 7}]),
        "/projects/8/tasks": Resource([{"id": 3, "project": 8}]),
    }
    with RestServer(resources) as server:
        yield server


CONTACTS: dict[str, Any] = {
    "path": "/contacts",
    "records": "$.items",
    "primary_key": ["id"],
    "paginate": {"kind": "page", "param": "page", "short_page_is_last": True},
    "page_size": {"param": "limit", "max": 7},
    "columns": {"id": "int64", "account_id": "int64", "email": "string"},
    "filters": {
        "account_id": {"param": "account_id", "ops": ["=", "in"], "exact": True, "required": True, "max_values": 3}
    },
}
ACCOUNTS: dict[str, Any] = {
    "path": "/accounts",
    "records": "$.items",
    "primary_key": ["id"],
    "paginate": {"kind": "next_url", "next": "$.next"},
    "page_size": {"param": "limit", "max": 10},
    "project": {"param": "fields"},
    "get_by_key": {"path": "/accounts/{id}", "batch": {"param": "ids", "max": 5}},
    "columns": [
        {"name": "id", "type": "int64"},
        {"name": "name", "type": "string", "path": "$.full_name"},
        {"name": "region", "type": "string"},
    ],
    "filters": {"region": {"param": "region", "ops": ["="], "exact": True}},
}
TAGS: dict[str, Any] = {
    "path": "/tags",
    "primary_key": ["tag"],
    "get_by_key": {"path": "/tags/{tag}"},
    "columns": {"tag": "string"},
}
TASKS: dict[str, Any] = {
    "path": "/projects/{project}/tasks",
    "primary_key": ["id"],
    "columns": {"id": "int64", "project": "int64"},
    "filters": {"project": {"ops": ["="], "exact": True, "required": True}},
}


@pytest.fixture
def adapter(server: RestServer) -> Iterator[RestAdapter]:
    tables = {"people": PEOPLE_SPEC, "contacts": CONTACTS, "accounts": ACCOUNTS, "tags": TAGS, "tasks": TASKS}
    adapter = adapter_for(server, tables)
    yield adapter
    adapter.close()


# --- keys


def test_a_key_is_looked_up(server: RestServer, adapter: RestAdapter) -> None:
    rows = scan(adapter, "accounts", ["name"], Predicate("id", "=", (5,)))
    assert rows.to_pylist() == [{"name": "Account 5"}]
    assert server.journal == ["/accounts/5"]


def test_a_key_that_is_not_there_is_no_row(server: RestServer, adapter: RestAdapter) -> None:
    assert values(scan(adapter, "people", ["id"], Predicate("id", "in", (1, 77, 3))), "id") == [1, 3]
    assert sorted(server.journal) == ["/people/1", "/people/3", "/people/77"]


def test_keys_go_in_batches(server: RestServer, adapter: RestAdapter) -> None:
    keys = (3, 1, 3, None, 4, 99, 12, 24, 7)
    rows = scan(adapter, "accounts", ["id", "name"], Predicate("id", "in", keys))
    assert values(rows, "id") == [1, 3, 4, 7, 12, 24]
    assert server.journal == [
        "/accounts?ids=3,1,4,99,12&fields=id,full_name&limit=10",
        "/accounts?ids=24,7&fields=id,full_name&limit=10",
    ]


def test_the_key_settles_its_predicate_and_no_other(adapter: RestAdapter) -> None:
    key, region = Predicate("id", "in", (1, 2)), Predicate("region", "=", ("EU",))
    planned = adapter.plan_scan(ScanRequest(TableName("main", "accounts"), ("id", "region"), (key, region)))
    assert planned.residual == (region,)


def test_more_keys_than_allowed_are_read_from_the_collection(server: RestServer) -> None:
    tables = {"accounts": {**ACCOUNTS, "get_by_key": {"path": "/accounts/{id}", "max_keys": 3}}}
    keys = Predicate("id", "in", (1, 2, 3, 4))
    planned = adapter_for(server, tables).plan_scan(ScanRequest(TableName("main", "accounts"), ("id",), (keys,)))
    assert planned.residual == (keys,)
    assert [partition.request for partition in planned.partitions] == ["GET /accounts?fields=id&limit=10 (paged)"]


@pytest.mark.parametrize("tag", ["a/b", "..", "x y&z?", "100%", ""])
def test_keys_are_escaped_or_not_put_into_a_path_at_all(server: RestServer, adapter: RestAdapter, tag: str) -> None:
    request = ScanRequest(TableName("main", "tags"), ("tag",), (Predicate("tag", "=", (tag,)),))
    data = pa.table({"tag": [row["tag"] for row in server.resources["/tags"].rows]})
    assert rows_of(answer(adapter, request)) == rows_of(expected(data, request))
    assert server.journal == ["/tags" if tag in ("a/b", "..", "") else f"/tags/{tag}"]


def test_a_404_is_an_error_unless_a_key_is_looked_up(server: RestServer, adapter: RestAdapter) -> None:
    del server.resources["/accounts"]
    with pytest.raises(SourceError) as caught:
        scan(adapter, "accounts", ["id"])
    assert caught.value.source == "crm"


# --- filters


def test_a_required_filter_must_be_given(adapter: RestAdapter) -> None:
    assert adapter.get_table(TableName("main", "contacts")).column("account_id").required_filter
    for predicates in ((), (Predicate("email", "=", ("x",)),), (Predicate("account_id", ">", (5,)),)):
        with pytest.raises(RequiredFilterMissing) as caught:
            adapter.plan_scan(ScanRequest(TableName("main", "contacts"), ("id",), predicates))
        assert '"account_id"' in caught.value.message
        assert caught.value.sqlstate == "HV00J"


def test_the_values_of_a_join_go_in_batches(server: RestServer, adapter: RestAdapter) -> None:
    """The planner runs the other side of a join first, then asks with its keys."""
    keys = (1, 2, None, 2, 7, 8, 500, 3, 4)
    planned = adapter.plan_scan(
        ScanRequest(TableName("main", "contacts"), ("id", "account_id"), (Predicate("account_id", "in", keys),))
    )
    assert planned.residual == ()
    assert [partition.request for partition in planned.partitions] == [
        "GET /contacts?account_id=1,2,7&limit=7 (paged)",
        "GET /contacts?account_id=8,500,3&limit=7 (paged)",
        "GET /contacts?account_id=4&limit=7 (paged)",
    ]
    rows = read_all(adapter, planned)
    assert values(rows, "id") == [n for n in range(50) if n % 10 in (1, 2, 7, 8, 3, 4)]
    assert "/contacts?account_id=1,2,7&limit=7&page=3" in server.journal


def test_partitions_are_bounded_however_many_values_there_are(adapter: RestAdapter) -> None:
    keys = tuple(range(100))
    planned = adapter.plan_scan(
        ScanRequest(TableName("main", "contacts"), ("id",), (Predicate("account_id", "in", keys),))
    )
    assert len(planned.partitions) == 8
    assert planned.partitions[0].request == "GET /contacts?account_id=0,1,2&limit=7 (paged) and 4 more"
    assert read_all(adapter, planned).num_rows == 50


@pytest.mark.parametrize("values", [(), (None,)])
def test_no_value_is_no_request(server: RestServer, adapter: RestAdapter, values: tuple[Any, ...]) -> None:
    assert scan(adapter, "contacts", ["id"], Predicate("account_id", "in", values)).num_rows == 0
    assert scan(adapter, "accounts", ["id"], limit=0).num_rows == 0
    assert server.journal == []


def test_an_exact_filter_is_settled(server: RestServer, adapter: RestAdapter) -> None:
    assert scan(adapter, "accounts", ["id"], Predicate("region", "=", ("US, east",))).num_rows == 13
    assert server.journal[0] == "/accounts?region=US, east&fields=id,region&limit=10"


def test_a_filter_that_is_not_exact_stays_residual_and_its_batches_do_not_overlap(
    server: RestServer, adapter: RestAdapter
) -> None:
    # The server ignores case, so that "Ada" in one batch and "ada" in the next both bring the same rows.
    names = Predicate("name", "in", ("Ada", "zoe", "ada", "ADA"))
    request = ScanRequest(TableName("main", "people"), ("id", "name"), (names,))
    assert adapter.plan_scan(request).residual == (names,)
    assert rows_of(answer(adapter, request)) == rows_of(expected(PEOPLE, request))
    assert {entry.split("&")[0] for entry in server.journal} == {"/people?name=Ada,zoe", "/people?name=ada,ADA"}


def test_a_value_with_a_comma_does_not_become_two(server: RestServer, adapter: RestAdapter) -> None:
    name = Predicate("name", "in", ("Ada", "a,b"))
    planned = adapter.plan_scan(ScanRequest(TableName("main", "people"), ("id",), (name,)))
    assert planned.partitions[0].request == "GET /people?limit=4 (paged)"
    spec = {**CONTACTS, "columns": {**CONTACTS["columns"], "account_id": "string"}}
    with pytest.raises(NotSupportedError):
        adapter_for(server, {"contacts": spec}).plan_scan(
            ScanRequest(TableName("main", "contacts"), ("id",), (Predicate("account_id", "=", ("a,b",)),))
        )


def test_several_parameters_for_one_column(server: RestServer, adapter: RestAdapter) -> None:
    day = datetime.date
    since, before = Predicate("born", ">=", (day(1900, 1, 1),)), Predicate("born", "<", (day(2000, 1, 1),))
    request = ScanRequest(TableName("main", "people"), ("id", "born"), (since, before))
    assert adapter.plan_scan(request).residual == ()
    assert rows_of(answer(adapter, request)) == rows_of(expected(PEOPLE, request))
    assert server.journal[0] == "/people?born_from=1900-01-01&born_before=2000-01-01&limit=4"


def test_a_source_that_ignores_an_exact_filter_is_found_out(server: RestServer, adapter: RestAdapter) -> None:
    server.resources["/accounts"].filters["region"] = ("region", "ignored")
    with pytest.raises(SourceError, match="do not satisfy the filter"):
        scan(adapter, "accounts", ["id"], Predicate("region", "=", ("EU",)))


def test_a_required_filter_in_the_path(server: RestServer, adapter: RestAdapter) -> None:
    rows = scan(adapter, "tasks", ["id", "project"], Predicate("project", "in", (7, 8)))
    assert values(rows, "id") == [1, 2, 3]
    assert sorted(server.journal) == ["/projects/7/tasks", "/projects/8/tasks"]
    with pytest.raises(RequiredFilterMissing):
        scan(adapter, "tasks", ["id"])
    with pytest.raises(SourceError):  # a parent that is not there is not an empty list of tasks
        scan(adapter, "tasks", ["id"], Predicate("project", "=", (9,)))


@pytest.mark.parametrize("exact", [True, False])
def test_a_column_that_the_records_do_not_repeat(server: RestServer, exact: bool) -> None:
    server.raw["/projects/7/tasks"] = server.raw["/projects/8/tasks"] = b'[{"id": 1}]'
    columns = {"id": "int64", "project": {"type": "int64", "request_only": True}}
    filters = {"project": {"ops": ["=", "in"], "required": True, "exact": exact}}
    projects = Predicate("project", "in", (7, 8))
    spec = {**TASKS, "primary_key": [], "columns": columns, "filters": filters}
    rows = scan(adapter_for(server, {"tasks": spec}), "tasks", ["id", "project"], projects)
    assert values(rows, "project") == [7, 8]
    columns["project"] = {"type": "int64"}
    with pytest.raises(ConversionError, match="no record has it") as caught:
        scan(adapter_for(server, {"tasks": spec}), "tasks", ["id"], projects)
    assert "request_only" in (caught.value.hint or "")


# --- limits and columns


def test_a_limit_ends_the_reading_and_shrinks_the_page(server: RestServer, adapter: RestAdapter) -> None:
    assert scan(adapter, "accounts", ["id"], limit=3).num_rows == 3
    assert server.journal == ["/accounts?fields=id&limit=3"]
    server.journal.clear()
    assert scan(adapter, "accounts", ["id"], limit=12).num_rows == 12
    assert len(server.journal) == 2


def test_a_limit_waits_for_the_residual(server: RestServer, adapter: RestAdapter) -> None:
    planned = adapter.plan_scan(
        ScanRequest(TableName("main", "accounts"), ("name",), (Predicate("name", ">", ("B",)),), limit=1)
    )
    assert read_all(adapter, planned).num_rows == 25
    assert server.journal[0] == "/accounts?fields=full_name,id&limit=10"


def test_no_columns_count_rows(adapter: RestAdapter) -> None:
    assert scan(adapter, "accounts", []).num_rows == 25


def test_unknown_columns(adapter: RestAdapter) -> None:
    with pytest.raises(ColumnNotFound):
        scan(adapter, "accounts", ["nope"])


def test_fixed_parameters_are_sent_and_not_shown(server: RestServer) -> None:
    tables = {"accounts": {**ACCOUNTS, "query": {"region": "EU"}, "filters": {}}}
    adapter = adapter_for(server, tables)
    planned = adapter.plan_scan(ScanRequest(TableName("main", "accounts"), ("id",)))
    assert planned.partitions[0].request == "GET /accounts?region=…&fields=id&limit=10 (paged)"
    assert read_all(adapter, planned).num_rows == 12
    assert server.journal[0].startswith("/accounts?region=EU&")


def test_a_key_lookup_knows_how_many_rows_there_can_be(adapter: RestAdapter) -> None:
    planned = adapter.plan_scan(
        ScanRequest(TableName("main", "people"), ("id", "score"), (Predicate("id", "in", (1, 2, 3)),))
    )
    assert planned.estimate.rows == 3
    reader = adapter.read(planned.partitions[0], CancelToken())
    assert reader.schema.field("score").type == pa.float64()


def test_decimal_values_travel_as_written(server: RestServer) -> None:
    server.resources["/prices"] = Resource(
        [{"id": 1, "price": "0.10"}, {"id": 2, "price": "0.2"}], filters={"price": ("price", "=")}
    )
    spec = {
        "path": "/prices",
        "columns": {"id": "int64", "price": "decimal(10,2)"},
        "filters": {"price": {"param": "price", "exact": True}},
    }
    rows = scan(adapter_for(server, {"prices": spec}), "prices", ["id"], Predicate("price", "=", (Decimal("0.10"),)))
    assert rows.to_pylist() == [{"id": 1}]


def test_long_lists_of_values_are_cut_before_the_url_is_too_long(server: RestServer) -> None:
    spec = {
        **ACCOUNTS,
        "columns": {"id": "string"},
        "filters": {},
        "get_by_key": {"batch": {"param": "ids", "max": 99}},
    }
    keys = tuple(f"{n}" * 1500 for n in range(1, 6))
    planned = adapter_for(server, {"accounts": spec}).plan_scan(
        ScanRequest(TableName("main", "accounts"), ("id",), (Predicate("id", "in", keys),))
    )
    assert len(planned.partitions) == 3


@pytest.mark.parametrize("value", [1 << 70, "5", 5.5])
def test_a_value_of_another_type_is_left_to_the_caller(adapter: RestAdapter, value: Any) -> None:
    predicate = Predicate("id", "=", (value,))
    planned = adapter.plan_scan(ScanRequest(TableName("main", "accounts"), ("id",), (predicate,)))
    assert planned.residual == (predicate,)
