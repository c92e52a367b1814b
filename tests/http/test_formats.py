"""What an answer looks like in each format, compressed or not, whole or broken."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.http.running import GOOD_ROWS, ROWS, Running

JSON = "application/json"
NDJSON = "application/x-ndjson"
CSV = "text/csv"
ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
FORMATS = (JSON, NDJSON, CSV, ARROW, PARQUET)
ALL = "SELECT * FROM f.numbers ORDER BY id"


def read_csv(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode())))[1:]


COUNT: dict[str, Callable[[bytes], int]] = {
    JSON: lambda data: len(json.loads(data)["rows"]),
    NDJSON: lambda data: len([json.loads(line) for line in data.splitlines()]),
    CSV: lambda data: len(read_csv(data)),
    ARROW: lambda data: pa.ipc.open_stream(data).read_all().num_rows,
    PARQUET: lambda data: pq.read_table(io.BytesIO(data)).num_rows,
}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_every_row_arrives(server: Running, form: str, coding: str) -> None:
    headers = {"Accept": form, "Accept-Encoding": coding}
    answer = server.client.post("/v1/query", json={"sql": ALL}, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"].split(";")[0] == form
    assert answer.headers.get("content-encoding") == ("gzip" if coding == "gzip" and form != PARQUET else None)
    assert COUNT[form](answer.content) == ROWS


def test_zstd(server: Running) -> None:
    headers = {"Accept": NDJSON, "Accept-Encoding": "zstd, gzip"}
    with server.client.stream("POST", "/v1/query", json={"sql": ALL}, headers=headers) as answer:
        assert answer.headers["content-encoding"] == "zstd"
        packed = b"".join(answer.iter_raw())
    plain = pa.CompressedInputStream(pa.BufferReader(packed), "zstd").read()
    assert COUNT[NDJSON](plain) == ROWS


@pytest.mark.parametrize("form", FORMATS)
def test_no_row_at_all(server: Running, form: str) -> None:
    answer = server.query("SELECT * FROM f.numbers WHERE id < 0", form)
    assert COUNT[form](answer.content) == 0
    assert "content-length" in answer.headers


def test_the_document(server: Running) -> None:
    answer = server.query("SELECT a, b FROM f.small ORDER BY a")
    document = answer.json()
    assert document["query_id"] == answer.headers["federation-query-id"]
    assert document["columns"] == [
        {"name": "a", "type": "INTEGER", "arrow_type": "int32"},
        {"name": "b", "type": "VARCHAR", "arrow_type": "string"},
    ]
    assert document["rows"] == [[1, "x"], [2, None]]
    assert document["stats"]["rows"] == 2
    assert document["stats"]["truncated"] is False
    assert list(document)[-1] == "complete"
    assert document["complete"] is True


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("9007199254740991::BIGINT", 9007199254740991),
        ("9007199254740993::BIGINT", "9007199254740993"),
        ("(-170141183460469231731687303715884105728)::HUGEINT", "-170141183460469231731687303715884105728"),
        ("1.50::DECIMAL(5, 2)", "1.50"),
        ("0.1::DOUBLE", 0.1),
        ("'nan'::DOUBLE", "NaN"),
        ("'-inf'::FLOAT", "-Infinity"),
        ("TIMESTAMP '2026-01-02 03:04:05.678'", "2026-01-02T03:04:05.678"),
        ("TIMESTAMPTZ '2026-01-02 03:04:05+02'", "2026-01-02T01:04:05+00:00"),
        ("DATE '2026-01-02'", "2026-01-02"),
        ("'\\x00\\xFF'::BLOB", "\\x00ff"),
        ("[1, NULL]", [1, None]),
        ("{'a': 1.5::DECIMAL(3, 1)}", {"a": "1.5"}),
        ("INTERVAL '1 year 2 days'", "P1Y2D"),
        ("'\"quoted\" \\ \u2028'", '"quoted" \\ \u2028'),
        ("NULL", None),
        ("true", True),
    ],
)
def test_values_are_exact(server: Running, sql: str, expected: Any) -> None:
    assert server.query(f"SELECT {sql} AS v").json()["rows"] == [[expected]]


@pytest.mark.parametrize(
    ("sql", "params", "expected"),
    [
        ("SELECT $a + 1", {"a": 1}, 2),
        ("SELECT ? || ?", ["x", "y"], "xy"),
        ("SELECT $1", [None], None),
        ("SELECT typeof($a)", {"a": True}, "BOOLEAN"),
        ("SELECT typeof($a)", {"a": 0.5}, "DOUBLE"),
        ("SELECT $a", {"a": 2**63}, str(2**63)),
        ("SELECT $a", {"a": {"type": "DECIMAL(38,2)", "value": "1234567890123456789.25"}}, "1234567890123456789.25"),
        ("SELECT typeof($a)", {"a": {"type": "DATE", "value": "2026-01-31"}}, "DATE"),
        ("SELECT typeof($a)", {"a": {"type": "INTEGER", "value": None}}, "INTEGER"),
        ("SELECT list_sum($a)", {"a": [1, 2, 3]}, 6),
        ("SELECT count(*) FROM f.small WHERE b = $a", {"a": "'; DROP TABLE x; --"}, 0),
    ],
)
def test_parameters(server: Running, sql: str, params: Any, expected: Any) -> None:
    assert server.query(sql, params=params).json()["rows"] == [[expected]]


def test_max_rows_says_that_there_were_more(server: Running) -> None:
    for most, rows, truncated in ((0, 0, True), (1, 1, True), (2, 2, False), (3, 2, False)):
        document = server.query("SELECT a FROM f.small", max_rows=most).json()
        assert (len(document["rows"]), document["stats"]["truncated"]) == (rows, truncated)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("*/*", JSON),
        ("text/*", CSV),
        ("application/json;q=0.5, text/csv", CSV),
        ("text/html, application/xhtml+xml, */*;q=0.8", JSON),
        ("APPLICATION/VND.APACHE.ARROW.STREAM", ARROW),
        ("application/json;q=0, */*", NDJSON),
    ],
)
def test_accept(server: Running, accept: str, form: str) -> None:
    assert server.query("SELECT 1", accept).headers["content-type"].split(";")[0] == form


def broken(server: Running, form: str, coding: str = "identity") -> tuple[httpx.Headers, bytes]:
    """An answer that fails after tens of megabytes: what came of it, after HTTP has said that it is broken."""
    parts: list[bytes] = []
    headers = {"Accept": form, "Accept-Encoding": coding}
    with (
        server.client.stream("POST", "/v1/query", json={"sql": "SELECT * FROM lite.late"}, headers=headers) as answer,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        assert answer.status_code == 200
        for part in answer.iter_raw():
            parts.append(part)
    data = b"".join(parts)
    assert len(data) > 1_000_000 or coding != "identity"
    return answer.headers, data


# Each coding of one format that is text and one that is not; with every format in `make test-all`.
BREAKING = [
    pytest.param(form, coding, marks=() if coding == "identity" or form in (CSV, ARROW) else pytest.mark.slow)
    for form in FORMATS
    for coding in ("identity", "gzip", "zstd")
]


@pytest.mark.parametrize(("form", "coding"), BREAKING)
def test_a_failure_after_the_first_byte_breaks_the_connection(server: Running, form: str, coding: str) -> None:
    headers, _ = broken(server, form, coding)
    detail = server.client.get(f"/v1/queries/{headers['federation-query-id']}").json()
    assert detail["state"] == "failed"
    assert detail["error"]["sqlstate"].startswith("22")
    assert detail["error"]["source"] == "lite"


def test_broken_json_names_the_error_and_has_no_end(server: Running) -> None:
    _, data = broken(server, JSON)
    with pytest.raises(json.JSONDecodeError):
        json.loads(data)
    whole = json.loads(data + b"}")
    assert whole["complete"] is False
    assert whole["error"]["source"] == "lite"
    assert 0 < len(whole["rows"]) < GOOD_ROWS + 1


def test_broken_ndjson_ends_with_the_error(server: Running) -> None:
    *_, last = broken(server, NDJSON)[1].splitlines()
    assert set(json.loads(last)) == {"error"}


def test_broken_arrow_has_no_end_of_stream(server: Running) -> None:
    _, data = broken(server, ARROW)
    assert not data.endswith(b"\xff\xff\xff\xff\x00\x00\x00\x00")


def test_broken_parquet_cannot_be_opened(server: Running) -> None:
    with pytest.raises(pa.ArrowInvalid):
        pq.read_table(io.BytesIO(broken(server, PARQUET)[1]))


def test_a_failure_before_the_first_byte_has_a_status(server: Running) -> None:
    answer = server.query("SELECT n FROM lite.late ORDER BY padding, n")
    assert answer.status_code == 422
    assert answer.json()["source"] == "lite"


def test_arrow_names_the_sql_types(server: Running) -> None:
    sql = "SELECT 1::HUGEINT AS a, 1::DECIMAL(38, 0) AS b, '{}'::JSON AS c, 'x'::BLOB AS d, [1]::INTEGER[] AS e"
    reader = pa.ipc.open_stream(server.query(sql, ARROW).content)
    types = [(field.metadata or {})[b"federation.type"].decode() for field in reader.schema]
    assert types == ["HUGEINT", "DECIMAL(38,0)", "JSON", "BLOB", "INTEGER[]"]
    assert reader.read_all().num_rows == 1


def test_decimals_in_arrow(server: Running) -> None:
    answer = server.query("SELECT amount FROM f.numbers WHERE id = 1", ARROW)
    assert pa.ipc.open_stream(answer.content).read_all().to_pylist() == [{"amount": Decimal("0.01")}]
