"""Names to tables, over adapters in memory and adapters that fail on purpose."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pytest

from adapters.base import Table, TableName
from adapters.errors import AmbiguousTable, MissingDriver, SchemaNotFound, SourceUnavailable, TableNotFound
from adapters.memory import MemoryAdapter
from catalog.catalog import Catalog
from catalog.model import CatalogTable, Settings, Source, TableNote, View

ROWS = pa.table({"id": pa.array([1, 2], pa.int64())})


class Schemas(MemoryAdapter):
    """Tables in several schemas, and a count of what was asked."""

    def __init__(self, name: str, *tables: tuple[str, str], default: str = "public") -> None:
        super().__init__(name, {})
        self.default_schema = default
        self.names = [TableName(*table) for table in tables]
        self.listed = 0
        self.described: list[TableName] = []

    def list_tables(self) -> Iterable[TableName]:
        self.listed += 1
        return list(self.names)

    def get_table(self, name: TableName) -> Table:
        self.described.append(name)
        if name not in self.names:
            raise TableNotFound("no such table", source=self.name)
        return Table(name, ())


class Down(Schemas):
    def list_tables(self) -> Iterable[TableName]:
        self.listed += 1
        raise SourceUnavailable("connection refused", source=self.name)

    def get_table(self, name: TableName) -> Table:
        self.described.append(name)
        raise SourceUnavailable("connection refused", source=self.name)


def catalog_of(*adapters: Any, path: tuple[tuple[str, ...], ...] = (), **more: Any) -> Catalog:
    sources = [Source(adapter.name, "memory", adapter) for adapter in adapters]
    return Catalog(sources, settings=Settings(search_path=path), **more)


def found(catalog: Catalog, *parts: str, quoted: bool = False) -> tuple[str, ...]:
    result = catalog.resolve(parts, [quoted] * len(parts))
    if isinstance(result, View):
        return (result.schema, result.name)
    return (result.source.name, result.table.name.schema, result.table.name.name)


def test_a_table_of_a_memory_adapter_comes_with_its_columns() -> None:
    catalog = catalog_of(MemoryAdapter("mem", {"tables": {"orders": ROWS}}))
    result = catalog.resolve(["mem", "orders"], [False, False])
    assert isinstance(result, CatalogTable)
    assert result.table.column("id").type == pa.int64()


def test_qualified_names() -> None:
    catalog = catalog_of(Schemas("pg", ("public", "orders"), ("sales", "orders"), ("sales", "leads")))
    assert found(catalog, "pg", "orders") == ("pg", "public", "orders")
    assert found(catalog, "pg", "sales", "orders") == ("pg", "sales", "orders")
    assert found(catalog, "PG", "SALES", "Leads") == ("pg", "sales", "leads")
    assert found(catalog, "pg.sales", "leads", quoted=True) == ("pg", "sales", "leads")


def test_a_qualified_name_asks_only_its_source() -> None:
    other = Down("other")
    catalog = catalog_of(Schemas("pg", ("public", "orders")), other)
    assert found(catalog, "pg", "ORDERS") == ("pg", "public", "orders")
    with pytest.raises(TableNotFound):
        found(catalog, "pg", "nothing")
    assert other.listed == 0


@pytest.mark.parametrize("quoted", [False, True])
def test_exact_case_wins_and_several_others_are_ambiguous(quoted: bool) -> None:
    catalog = catalog_of(Schemas("pg", ("public", "orders"), ("public", "Orders"), ("public", "Leads")))
    assert found(catalog, "pg", "orders", quoted=quoted) == ("pg", "public", "orders")
    assert found(catalog, "pg", "Orders", quoted=quoted) == ("pg", "public", "Orders")
    assert found(catalog, "Orders", quoted=quoted) == ("pg", "public", "Orders")
    assert found(catalog, "pg", "leads", quoted=quoted) == ("pg", "public", "Leads")
    with pytest.raises(AmbiguousTable) as caught:
        found(catalog, "pg", "ORDERS", quoted=quoted)
    assert caught.value.hint == "write one of: pg.public.Orders, pg.public.orders"


def test_schemas_that_differ_in_case() -> None:
    catalog = catalog_of(Schemas("pg", ("sales", "a"), ("Sales", "a"), ("Sales", "b")))
    assert found(catalog, "pg", "sales", "a") == ("pg", "sales", "a")
    assert found(catalog, "pg", "Sales", "A") == ("pg", "Sales", "a")
    assert found(catalog, "pg", "SALES", "b") == ("pg", "Sales", "b")
    with pytest.raises(AmbiguousTable):
        found(catalog, "pg", "SALES", "a")


@pytest.mark.parametrize("name", ["a.b", 'say "hi"', "two words", "select", "ünïcode", "a.b.c"])
def test_strange_table_names(name: str) -> None:
    catalog = catalog_of(Schemas("pg", ("public", name), ("my schema", name)))
    assert found(catalog, "pg", name, quoted=True) == ("pg", "public", name)
    assert found(catalog, "pg", "my schema", name, quoted=True) == ("pg", "my schema", name)
    assert found(catalog, name, quoted=True) == ("pg", "public", name)


def test_views() -> None:
    views = [View("customer", "overview", "SELECT 1"), View("customer", "Odd.name", "SELECT 2")]
    catalog = catalog_of(Schemas("pg", ("public", "orders")), views=views)
    assert found(catalog, "Customer", "OVERVIEW") == ("customer", "overview")
    assert found(catalog, "overview") == ("customer", "overview")
    assert found(catalog, "customer", "odd.name", quoted=True) == ("customer", "Odd.name")
    with pytest.raises(TableNotFound) as caught:
        found(catalog, "customer", "overvieuw")
    assert caught.value.hint == "did you mean customer.overview?"


def test_a_bare_name_without_a_search_path_is_unique_or_ambiguous() -> None:
    catalog = catalog_of(
        Schemas("pg", ("public", "orders"), ("sales", "leads"), ("audit", "Orders")),
        Schemas("my", ("shop", "ORDERS"), ("shop", "items"), default="shop"),
        views=[View("customer", "items", "SELECT 1")],
    )
    assert found(catalog, "leads") == ("pg", "sales", "leads")
    with pytest.raises(AmbiguousTable) as caught:
        found(catalog, "orders")
    assert caught.value.hint == "write one of: my.shop.ORDERS, pg.public.orders"
    with pytest.raises(AmbiguousTable) as caught:
        found(catalog, "items")
    assert caught.value.hint == "write one of: customer.items, my.shop.items"


def test_the_search_path_goes_in_order_and_stops() -> None:
    pg = Schemas("pg", ("public", "orders"), ("sales", "orders"), ("sales", "leads"))
    my = Schemas("my", ("shop", "orders"), ("shop", "items"), default="shop")
    views = [View("customer", "orders", "SELECT 1"), View("customer", "overview", "SELECT 1")]
    catalog = catalog_of(my, pg, views=views, path=(("pg", "sales"), ("customer",), ("my",)))
    assert found(catalog, "ORDERS") == ("pg", "sales", "orders")
    assert found(catalog, "overview") == ("customer", "overview")
    assert my.listed == 0
    assert found(catalog, "items") == ("my", "shop", "items")


def test_a_name_outside_the_search_path_is_not_found_but_hinted() -> None:
    catalog = catalog_of(Schemas("pg", ("public", "orders"), ("sales", "leads")), path=(("pg",),))
    with pytest.raises(TableNotFound) as caught:
        found(catalog, "leads")
    assert caught.value.hint == "did you mean pg.sales.leads?"


def test_a_source_that_is_down_ends_the_search_along_the_path() -> None:
    catalog = catalog_of(Down("pg"), Schemas("my", ("shop", "orders"), default="shop"), path=(("pg",), ("my",)))
    with pytest.raises(SourceUnavailable):
        found(catalog, "orders")


def test_a_source_that_is_down_does_not_hide_another_and_is_not_taken_for_empty() -> None:
    down = Down("down")
    catalog = catalog_of(down, Schemas("my", ("shop", "orders"), default="shop"))
    for _ in range(3):
        assert found(catalog, "orders") == ("my", "shop", "orders")
        with pytest.raises(SourceUnavailable):
            found(catalog, "missing")
    assert down.listed == 1, "the failure is remembered for a moment"
    errors = []
    for _ in range(2):
        with pytest.raises(SourceUnavailable) as caught:
            found(catalog, "missing")
        errors.append(caught.value)
    assert errors[0] is not errors[1], "each statement gets an error of its own"
    assert (errors[0].source, errors[0].message) == ("down", "connection refused")


def test_the_last_listing_of_a_source_that_went_down_still_makes_a_name_ambiguous() -> None:
    class Flaky(Schemas):
        up = True

        def list_tables(self) -> Iterable[TableName]:
            if self.up:
                return super().list_tables()
            raise SourceUnavailable("connection refused", source=self.name)

    flaky = Flaky("flaky", ("public", "orders"))
    sources = [Source("flaky", "memory", flaky), Source("my", "memory", Schemas("my", ("public", "orders")))]
    catalog = Catalog(sources, settings=Settings(metadata_ttl=0))
    with pytest.raises(AmbiguousTable):
        found(catalog, "orders")
    flaky.up = False
    with pytest.raises(AmbiguousTable):
        found(catalog, "orders")


def test_nearest_names() -> None:
    catalog = catalog_of(Schemas("warehouse", ("public", "orders"), ("sales", "leads")))
    for parts, error, hint in [
        (["warehouse", "ordes"], TableNotFound, "did you mean warehouse.public.orders?"),
        (["warehouse", "leads"], TableNotFound, "did you mean warehouse.sales.leads?"),
        (["warehouse", "sale", "leads"], SchemaNotFound, "did you mean warehouse.sales?"),
        (["warehous", "orders"], SchemaNotFound, "did you mean warehouse.orders?"),
        (["public", "orders"], SchemaNotFound, "did you mean warehouse.public.orders?"),
        (["ordrs"], TableNotFound, "did you mean warehouse.public.orders?"),
        (["zzz", "orders"], SchemaNotFound, "known: warehouse"),
        (["a", "b", "c", "d"], TableNotFound, "a table is named source.schema.table at most"),
    ]:
        with pytest.raises(error) as caught:
            catalog.resolve(parts, [False] * len(parts))
        assert caught.value.hint == hint, parts


def test_a_missing_driver_stops_only_its_own_source() -> None:
    fault = MissingDriver('adapter "mysql" needs the package pymysql', hint="pip install pymysql")
    sources = [Source("my", "mysql", fault), Source("pg", "memory", Schemas("pg", ("public", "orders")))]
    catalog = Catalog(sources)
    assert found(catalog, "orders") == ("pg", "public", "orders")
    with pytest.raises(MissingDriver) as caught:
        found(catalog, "my", "orders")
    assert (caught.value.source, caught.value.hint) == ("my", "pip install pymysql")
    with pytest.raises(TableNotFound) as missing:
        found(catalog, "nothing")
    assert "my" in (missing.value.hint or "")
    catalog.close()


def test_a_table_made_after_the_listing_is_found() -> None:
    pg = Schemas("pg", ("public", "orders"))
    catalog = catalog_of(pg)
    assert found(catalog, "orders") == ("pg", "public", "orders")
    pg.names.append(TableName("public", "Leads"))
    assert found(catalog, "leads") == ("pg", "public", "Leads")
    pg.names.append(TableName("public", "Items"))
    assert found(catalog, "pg", "items") == ("pg", "public", "Items")


def test_metadata_is_kept_and_forgotten() -> None:
    pg = Schemas("pg", ("public", "orders"))
    catalog = catalog_of(pg)
    for _ in range(3):
        found(catalog, "pg", "orders")
    assert pg.described == [TableName("public", "orders")]
    pg.names.clear()
    catalog.forget("pg", TableName("public", "orders"))
    with pytest.raises(TableNotFound):
        found(catalog, "pg", "orders")


def test_threads_share_one_description() -> None:
    class Slow(Schemas):
        def get_table(self, name: TableName) -> Table:
            time.sleep(0.05)
            return super().get_table(name)

    pg = Slow("pg", ("public", "orders"))
    catalog = catalog_of(pg)
    results: list[tuple[str, ...]] = []
    threads = [threading.Thread(target=lambda: results.append(found(catalog, "pg", "orders"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [("pg", "public", "orders")] * 8
    assert len(pg.described) == 1


def test_notes_reach_the_table() -> None:
    notes = [TableNote("pg", None, "Orders", owner="sales-ops", comment="one row per order")]
    catalog = catalog_of(Schemas("pg", ("public", "orders"), ("sales", "orders")), notes=notes)
    noted = catalog.resolve(["pg", "orders"], [False, False])
    plain = catalog.resolve(["pg", "sales", "orders"], [False, False, False])
    assert isinstance(noted, CatalogTable) and isinstance(plain, CatalogTable)
    assert (noted.owner, noted.table.comment) == ("sales-ops", "one row per order")
    assert (plain.owner, plain.table.comment) == (None, None)


def test_close_closes_every_adapter_though_one_fails() -> None:
    closed: list[str] = []

    class Closing(Schemas):
        def close(self) -> None:
            closed.append(self.name)
            if self.name == "a":
                raise SourceUnavailable("broken pipe", source="a")

    with pytest.raises(SourceUnavailable):
        catalog_of(Closing("a"), Closing("b")).close()
    assert closed == ["a", "b"]
