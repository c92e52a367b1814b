"""JSON values to Arrow: exactly the declared type, or an error that names the table, the column and what came."""

from __future__ import annotations

import datetime as dt
import json
import zoneinfo
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from adapters.base import Predicate
from adapters.errors import ConversionError, DataError, NumericOutOfRange
from adapters.rest_json import TYPE_NAMES, find, json_text, parse_body, parse_path, parse_type
from tests.adapters.rest_server import RestServer, adapter_for, scan

UTC = zoneinfo.ZoneInfo("UTC")
MOMENT = dt.datetime(2024, 2, 29, 23, 59, 59, 123456)


@pytest.fixture
def server() -> Iterator[RestServer]:
    with RestServer({}) as server:
        yield server


def read(server: RestServer, spelling: str, literal: str, **column: Any) -> pa.Table:
    """A table of one column `v`, declared as `spelling`, and one record that holds the JSON literal."""
    server.raw["/t"] = f'[{{"v": {literal}}}]'.encode()
    spec = {"path": "/t", "columns": {"v": {"type": spelling, **column}}}
    adapter = adapter_for(server, {"t": spec})
    try:
        return scan(adapter, "t", ["v"])
    finally:
        adapter.close()


ROUND_TRIPS: list[tuple[str, str, Any]] = [
    ("string", '""', ""),
    ("string", r'"日本 🎉 \ud83c\udf89 \u0000"', "日本 🎉 🎉 \0"),
    ("int8", "-128", -128),
    ("uint8", "255", 255),
    ("int16", "32767", 32767),
    ("int32", "-2147483648", -2147483648),
    ("int64", "9223372036854775807", 9223372036854775807),
    ("int64", "-9223372036854775808", -9223372036854775808),
    ("int64", "9007199254740993", 9007199254740993),
    ("int64", "5.0", 5),
    ("int64", "1e3", 1000),
    ("uint64", "18446744073709551615", 18446744073709551615),
    ("double", "0.1", 0.1),
    ("double", "-0.0", -0.0),
    ("double", "1e308", 1e308),
    ("double", "9007199254740993", 9007199254740992.0),
    ("decimal(38,10)", "1234567890123456789012345678.0123456789", Decimal("1234567890123456789012345678.0123456789")),
    ("decimal(12,2)", "0.1", Decimal("0.10")),
    ("decimal(12,2)", "1.10e1", Decimal("11.00")),
    ("decimal(12,2)", '"12.50"', Decimal("12.50")),
    ("decimal(12,2)", "7", Decimal("7.00")),
    ("decimal(5,0)", "99999", Decimal("99999")),
    ("bool", "false", False),
    ("date", '"2024-02-29"', dt.date(2024, 2, 29)),
    ("date", '"0001-01-01"', dt.date(1, 1, 1)),
    ("timestamp", '"2024-02-29T23:59:59.123456"', MOMENT),
    ("timestamp", '"2024-02-29 23:59:59.123456000"', MOMENT),
    ("timestamptz", '"2024-02-29T23:59:59.123456Z"', MOMENT.replace(tzinfo=UTC)),
    ("timestamptz", '"2024-03-01T01:59:59.123456+02:00"', MOMENT.replace(tzinfo=UTC)),
    ("timestamptz", '"2024-02-29T15:59:59.123456-0800"', MOMENT.replace(tzinfo=UTC)),
    ("json", "1.10", "1.10"),
    ("json", '"é"', '"é"'),
    ("json", '{"a": [1, null, true, 0.300000000000000000001]}', '{"a": [1, null, true, 0.300000000000000000001]}'),
    ("json", "[]", "[]"),
    ("list<int64>", "[1, null, 3]", [1, None, 3]),
    ("list<list<decimal(6,2)>>", "[[1.5], []]", [[Decimal("1.50")], []]),
    ("list<string>", "[]", []),
]


@pytest.mark.parametrize(("spelling", "literal", "value"), ROUND_TRIPS)
def test_a_value_arrives_as_it_is(server: RestServer, spelling: str, literal: str, value: Any) -> None:
    rows = read(server, spelling, literal)
    assert rows.schema.field("v").type == parse_type(spelling)
    assert repr(rows.to_pydict()["v"]) == repr([value])


@pytest.mark.parametrize("spelling", [*TYPE_NAMES[:-2], "decimal(4,2)", "list<string>"])
def test_null_and_nothing_are_null(server: RestServer, spelling: str) -> None:
    assert read(server, spelling, "null").to_pydict() == {"v": [None]}
    assert read(server, spelling, "1", path="$.missing").to_pydict() == {"v": [None]}
    with pytest.raises(ConversionError, match="not to be null"):
        read(server, spelling, "null", nullable=False)


CLASHES: list[tuple[str, str, str, type[DataError]]] = [
    ("int64", '"5"', "a string", ConversionError),
    ("int64", "true", "a boolean", ConversionError),
    ("int64", "5.5", "a number with a fraction", ConversionError),
    ("int64", "9223372036854775808", "outside its range", NumericOutOfRange),
    ("int64", "1e400", "outside its range", NumericOutOfRange),
    ("int8", "128", "outside its range", NumericOutOfRange),
    ("uint32", "-1", "outside its range", NumericOutOfRange),
    ("string", "5", "an integer", ConversionError),
    ("string", "{}", "an object", ConversionError),
    ("string", r'"\ud83c"', "not Unicode text", ConversionError),
    ("double", '"0.1"', "a string", ConversionError),
    ("double", "true", "a boolean", ConversionError),
    ("double", "1e309", "outside its range", NumericOutOfRange),
    ("double", "1" + "0" * 400, "outside its range", NumericOutOfRange),
    ("decimal(12,2)", "0.001", "more digits", NumericOutOfRange),
    ("decimal(4,2)", "100", "more digits", NumericOutOfRange),
    ("decimal(4,2)", '"NaN"', "no number", ConversionError),
    ("decimal(4,2)", '" 1"', "no number", ConversionError),
    ("decimal(4,2)", "true", "a boolean", ConversionError),
    ("bool", "1", "an integer", ConversionError),
    ("bool", '"true"', "a string", ConversionError),
    ("date", '"2023-02-29"', "no ISO 8601 date", ConversionError),
    ("date", '"2024-02-29T00:00:00"', "no ISO 8601 date", ConversionError),
    ("date", "20240229", "an integer", ConversionError),
    ("timestamp", '"2024-02-29T00:00:00Z"', "which timestamptz would hold", ConversionError),
    ("timestamptz", '"2024-02-29T00:00:00"', "which timestamp would hold", ConversionError),
    ("timestamptz", '"0001-01-01T00:00:00+05:00"', "outside its range", NumericOutOfRange),
    ("timestamp", '"2024-02-29T00:00:00.1234567"', "finer than a microsecond", ConversionError),
    ("timestamp", '"yesterday"', "no ISO 8601", ConversionError),
    ("timestamp", "1709164800", "an integer", ConversionError),
    ("list<int64>", "1", "an integer", ConversionError),
    ("list<int64>", '["1"]', "a string", ConversionError),
]


@pytest.mark.parametrize(("spelling", "literal", "came", "error"), CLASHES)
def test_a_clash_names_the_column_and_what_came(
    server: RestServer, spelling: str, literal: str, came: str, error: type[DataError]
) -> None:
    with pytest.raises(error) as caught:
        read(server, spelling, literal)
    message = caught.value.message
    assert message.startswith(f'table "t", column "v", declared as {spelling}: ')
    assert came in message
    assert caught.value.source == "crm"
    if isinstance(json.loads(literal), str) and json.loads(literal).strip():
        assert json.loads(literal) not in message


def test_a_value_deep_in_the_record(server: RestServer) -> None:
    literal = '{"a b": [{"c": 5}]}'
    assert read(server, "int64", literal, path="$.v['a b'][0].c").to_pydict() == {"v": [5]}
    assert read(server, "int64", "null", path="$.v.c").to_pydict() == {"v": [None]}
    assert read(server, "int64", literal, path="$.v['a b'][7].c").to_pydict() == {"v": [None]}
    with pytest.raises(ConversionError, match="an array came on the path, where an object is needed"):
        read(server, "int64", literal, path="$.v['a b'].c")


def test_a_key_must_not_be_null(server: RestServer) -> None:
    server.raw["/t"] = b'[{"id": null}]'
    adapter = adapter_for(server, {"t": {"path": "/t", "primary_key": ["id"], "columns": {"id": "int64"}}})
    with pytest.raises(ConversionError):
        scan(adapter, "t", ["id"])


@pytest.mark.parametrize(
    ("spelling", "value", "sent"),
    [
        ("bool", True, "true"),
        ("decimal(20,2)", Decimal("1E+2"), "100"),
        ("date", dt.date(2024, 2, 29), "2024-02-29"),
        ("timestamp", MOMENT, "2024-02-29T23:59:59.123456"),
        ("timestamptz", MOMENT.replace(tzinfo=dt.timezone(dt.timedelta(hours=2))), "2024-02-29T21:59:59.123456Z"),
        ("string", "a&b=c#d %2F+é", "a&b=c#d %2F+é"),
        ("int64", -5, "-5"),
    ],
)
def test_how_a_value_travels(server: RestServer, spelling: str, value: Any, sent: str) -> None:
    spec = {"path": "/t", "columns": {"v": spelling}, "filters": {"v": {"param": "v", "exact": True}}}
    server.raw["/t"] = b"[]"
    scan(adapter_for(server, {"t": spec}), "t", ["v"], Predicate("v", "=", (value,)))
    assert server.journal == [f"/t?v={sent}"]


@pytest.mark.parametrize("text", ["", "items", "$items", "$.", "$..a", "$.*", "$[*]", "$.a[?(@.b)]", "$['a", "$.a b"])
def test_paths_outside_the_subset(text: str) -> None:
    with pytest.raises(ValueError, match="a path looks like"):
        parse_path(text)


@pytest.mark.parametrize(
    "text", ["", "text", "int", "int128", "decimal", "decimal(39,0)", "decimal(4,5)", "list", "list<x>"]
)
def test_types_that_there_are_not(text: str) -> None:
    with pytest.raises(ValueError):
        parse_type(text)


def test_json_survives_being_parsed() -> None:
    text = b'{"a": {"b": [1.50, 1e400, -0.0, 123456789012345678901234567890, "\\"\\\\", null, false]}}'
    assert parse_body(json_text(parse_body(text)).encode()) == parse_body(text)
    assert find(parse_body(text), parse_path("$.a.b[3]")) == 123456789012345678901234567890
