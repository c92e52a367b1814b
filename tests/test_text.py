"""Every type as text, as JSON and as a Python value."""

from __future__ import annotations

import datetime
import json
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from adapters.duck import Duck
from adapters.errors import DataError
from federation.text import FEW_VALUES, iso_interval, json_text, json_texts, to_text
from federation.values import python_values

UTC = datetime.UTC
NAN = float("nan")

# The SQL of a value, its text, its JSON, its Python value (DataError where Python has none).
CASES: list[tuple[str, str, str | None, Any]] = [
    ("true", "true", "true", True),
    ("1::TINYINT", "1", "1", 1),
    ("9007199254740991::BIGINT", "9007199254740991", "9007199254740991", 9007199254740991),
    ("9007199254740992::BIGINT", "9007199254740992", '"9007199254740992"', 9007199254740992),
    ("(-9007199254740992)::BIGINT", "-9007199254740992", '"-9007199254740992"', -9007199254740992),
    ("18446744073709551615::UBIGINT", "18446744073709551615", '"18446744073709551615"', 18446744073709551615),
    ("7::HUGEINT", "7", "7", 7),
    ("99999999999999999999::HUGEINT", "99999999999999999999", None, 99999999999999999999),
    ("1.50::DECIMAL(9,2)", "1.50", '"1.50"', Decimal("1.50")),
    ("0.0000000001::DECIMAL(18,10)", "0.0000000001", '"0.0000000001"', Decimal("0.0000000001")),
    ("0::DECIMAL(18,10)", "0.0000000000", '"0.0000000000"', Decimal(0)),
    ("12345678901234567890.5::DECIMAL(38,1)", "12345678901234567890.5", '"12345678901234567890.5"', None),
    ("1::DOUBLE", "1.0", "1.0", 1.0),
    ("0.1::DOUBLE", "0.1", "0.1", 0.1),
    ("1e300::DOUBLE", "1e+300", "1e+300", 1e300),
    ("0.1::FLOAT", "0.1", "0.1", None),
    ("'nan'::DOUBLE", "NaN", '"NaN"', None),
    ("'inf'::DOUBLE", "Infinity", '"Infinity"', float("inf")),
    ("'-inf'::DOUBLE", "-Infinity", '"-Infinity"', float("-inf")),
    ("''", "", '""', ""),
    ("'a\"\\\t日本🎈'", 'a"\\\t日本🎈', '"a\\"\\\\\\t日本🎈"', 'a"\\\t日本🎈'),
    ("'\\x00\\xFF'::BLOB", "\\x00ff", '"\\\\x00ff"', b"\x00\xff"),
    ("DATE '2024-02-29'", "2024-02-29", '"2024-02-29"', datetime.date(2024, 2, 29)),
    ("DATE '0044-03-15 (BC)'", "0044-03-15 (BC)", '"0044-03-15 (BC)"', DataError),
    ("DATE '12024-01-02'", "12024-01-02", '"12024-01-02"', DataError),
    ("'infinity'::DATE", "infinity", '"infinity"', DataError),
    ("'-infinity'::DATE", "-infinity", '"-infinity"', DataError),
    ("TIME '10:00:00.120'", "10:00:00.12", '"10:00:00.12"', datetime.time(10, 0, 0, 120000)),
    ("TIME '00:00:00'", "00:00:00", '"00:00:00"', datetime.time(0)),
    ("TIME '24:00:00'", "24:00:00", '"24:00:00"', DataError),
    (
        "'12:00:00-02:30'::TIMETZ",
        "12:00:00-02:30",
        '"12:00:00-02:30"',
        datetime.time(12, tzinfo=datetime.timezone(-datetime.timedelta(hours=2, minutes=30))),
    ),
    (
        "TIMESTAMP '2024-01-02 03:04:05'",
        "2024-01-02 03:04:05",
        '"2024-01-02T03:04:05"',
        datetime.datetime(2024, 1, 2, 3, 4, 5),
    ),
    ("TIMESTAMP '2024-01-02 03:04:05.600'", "2024-01-02 03:04:05.6", '"2024-01-02T03:04:05.6"', None),
    (
        "TIMESTAMPTZ '2024-01-02 03:04:05+01'",
        "2024-01-02 02:04:05+00:00",
        '"2024-01-02T02:04:05+00:00"',
        datetime.datetime(2024, 1, 2, 2, 4, 5, tzinfo=UTC),
    ),
    ("TIMESTAMP_NS '2024-01-02 03:04:05.000000001'", "2024-01-02 03:04:05.000000001", None, DataError),
    ("TIMESTAMP_NS '2024-01-02 03:04:05.000001'", "2024-01-02 03:04:05.000001", None, None),
    ("'infinity'::TIMESTAMP", "infinity", '"infinity"', DataError),
    ("'-infinity'::TIMESTAMPTZ", "-infinity", '"-infinity"', DataError),
    ("'0044-03-15 (BC) 12:30:00.25'::TIMESTAMP", "0044-03-15 (BC) 12:30:00.25", None, DataError),
    ("'12024-01-02 00:00:00+00'::TIMESTAMPTZ", "12024-01-02 00:00:00+00:00", None, DataError),
    ("INTERVAL '1 year 2 months 3 days 04:05:06.5'", "P1Y2M3DT4H5M6.5S", '"P1Y2M3DT4H5M6.5S"', (14, 3, 14706500000000)),
    ("'2cc86fd4-0ce0-4092-8ede-9243787c90e7'::UUID", "2cc86fd4-0ce0-4092-8ede-9243787c90e7", None, None),
    ("'{\"a\": 1.10}'::JSON", '{"a": 1.10}', '{"a": 1.10}', '{"a": 1.10}'),
    ("[1, NULL, 3]", "[1, null, 3]", "[1, null, 3]", [1, None, 3]),
    ("[]::INTEGER[]", "[]", "[]", []),
    ("[1, 2]::INTEGER[2]", "[1, 2]", "[1, 2]", [1, 2]),
    (
        "{'a': 1.5, 'b': [{'c': 'x\"'}]}",
        '{"a": "1.5", "b": [{"c": "x\\""}]}',
        None,
        {"a": Decimal("1.5"), "b": [{"c": 'x"'}]},
    ),
    ("MAP {'k': DATE '2024-01-01'}", '{"k": "2024-01-01"}', None, {"k": datetime.date(2024, 1, 1)}),
    ("MAP {[1]: 'x'}", '{"[1]": "x"}', None, [([1], "x")]),
    ("[TIME '24:00:00']", '["24:00:00"]', '["24:00:00"]', DataError),
    ("'b'::ENUM('a', 'b')", "b", '"b"', "b"),
]


@pytest.fixture(scope="module")
def duck() -> Iterator[Duck]:
    database = Duck()
    yield database
    database.close()


def column(duck: Duck, value: str) -> tuple[Any, str]:
    """NULL, the value, NULL: as a slice that begins with the value, so that offsets are in play."""
    sql = f"SELECT * FROM (VALUES (NULL), ({value}), (NULL)) AS q(v)"
    [(_, kind)] = duck.describe(sql)
    table = pa.Table.from_batches(duck.run(duck.cursor(), sql, {})).combine_chunks()
    array: Any = table.column(0)
    return array.chunk(0).slice(1), kind


@pytest.mark.parametrize(("value", "text", "as_json", "python"), CASES, ids=[case[0] for case in CASES])
def test_a_value_keeps_its_meaning(duck: Duck, value: str, text: str, as_json: str | None, python: Any) -> None:
    array, kind = column(duck, value)
    assert to_text(array).to_pylist() == [text, None]
    written = json_text(array).to_pylist()
    assert written[1] == "null"
    assert json.loads(written[0]) is not None
    if as_json is not None:
        assert written[0] == as_json
    if python is DataError:
        with pytest.raises(DataError, match='"v"') as caught:
            python_values(array, "v", kind)
        assert caught.value.hint is not None
        assert 'CAST("v" AS VARCHAR)' in caught.value.hint
        assert python_values(array.slice(1), "v", kind) == [None]
    else:
        values = python_values(array, "v", kind)
        assert values[1] is None
        if python is not None:
            assert values[0] == python
            assert type(values[0]) is type(python) or kind == "INTERVAL"


@pytest.mark.parametrize("value", [c[0] for c in CASES if c[3] is DataError and "NS" not in c[0] and "[" not in c[0]])
def test_the_text_of_what_python_cannot_hold_casts_back(duck: Duck, value: str) -> None:
    array, kind = column(duck, value)
    text = to_text(array).to_pylist()[0]
    again = pa.Table.from_batches(duck.run(duck.cursor(), f"SELECT '{text}'::{kind} = {value}", {}))
    assert again.column(0).to_pylist() == [True]


def test_uuids_become_uuids(duck: Duck) -> None:
    array, kind = column(duck, "'2cc86fd4-0ce0-4092-8ede-9243787c90e7'::UUID")
    assert python_values(array, "v", kind) == [uuid.UUID("2cc86fd4-0ce0-4092-8ede-9243787c90e7"), None]


def test_text_that_claims_to_be_json_is_quoted() -> None:
    array = pa.array(["{nope", "[1,\n2]", "NaN", None], pa.json_())
    assert json_text(array).to_pylist() == ['"{nope"', "[1, 2]", '"NaN"', "null"]


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ((0, 0, 0), "PT0S"),
        ((-14, 0, 0), "P-1Y-2M"),
        ((0, -2, 0), "P-2D"),
        ((1, 2, -3_723_000_000_001), "P1M2DT-1H-2M-3.000000001S"),
        ((0, 0, 500_000_000), "PT0.5S"),
        ((0, 0, -500_000_000), "PT-0.5S"),
    ],
)
def test_intervals_keep_the_sign_of_each_part(parts: tuple[int, int, int], text: str) -> None:
    assert iso_interval(*parts) == text


def test_timestamps_in_another_zone_carry_its_offset() -> None:
    array = pa.array([0, 1_720_000_000_500_000], pa.timestamp("us", "America/St_Johns"))
    assert to_text(array).to_pylist() == ["1969-12-31 20:30:00-03:30", "2024-07-03 07:16:40.5-02:30"]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        *(
            ([0, 1, None, 127], kind)
            for kind in (pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.int32(), pa.uint32())
        ),
        ([0, -1, None, 2**53 - 1, 2**53, -(2**53) + 1, -(2**53), 2**63 - 1, -(2**63)], pa.int64()),
        ([0, None, 2**53 - 1, 2**53, 2**64 - 1], pa.uint64()),
        ([True, False, None], pa.bool_()),
        (["", None, "null", 'a"\\b', "\n\x00\x1f\x7f", "ä\u2028\U0001f600"], pa.string()),
        (["", None, "\t"], pa.large_string()),
        ([1.0, None, float("nan"), 1e300], pa.float64()),
        ([Decimal("1.50"), None], pa.decimal128(5, 2)),
        ([Decimal(10**30), Decimal(1), None], pa.decimal128(38, 0)),
        ([datetime.date(2026, 1, 31), None], pa.date32()),
        ([[1, None], None, []], pa.list_(pa.int64())),
        ([], pa.int64()),
    ],
)
def test_few_values_read_like_many(values: list[Any], kind: pa.DataType) -> None:
    array = pa.array(values, kind)
    assert json_texts(array) == json_text(array).to_pylist()
    if values:
        assert json_texts(array.slice(1)) == json_text(array).to_pylist()[1:]
        many = pa.chunked_array([array] * (FEW_VALUES + 1)).combine_chunks()
        assert json_texts(many) == json_text(array).to_pylist() * (FEW_VALUES + 1)
