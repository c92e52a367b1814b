"""What a server shows: health, figures, the catalog, plans."""

from __future__ import annotations

from tests.http.running import Running


def test_health_and_metrics(server: Running) -> None:
    assert server.client.get("/health/live").json() == {"status": "live"}
    ready = server.client.get("/health/ready").json()
    assert ready["status"] == "ready"
    assert set(ready["sources"]) == {"f", "lite"}
    server.query("SELECT count(*) FROM f.small")
    server.query("SELECT nothing")
    text = server.client.get("/metrics").text
    for name in (
        'federation_queries_total{state="finished"}',
        'federation_query_errors_total{sqlstate="42703"}',
        'federation_source_up{source="f"} 1.0',
        "federation_query_seconds_bucket",
        "federation_event_loop_lag_seconds_bucket",
        'federation_http_requests_total{method="POST",path="/v1/query",status="200"}',
        "process_open_fds",
    ):
        assert name in text


def test_the_catalog_down_to_columns(server: Running) -> None:
    client = server.client
    top = client.get("/v1/catalog").json()
    assert [each["name"] for each in top["sources"]] == ["f", "lite"]
    assert top["view_schemas"] == ["shown"]
    tables = client.get("/v1/catalog/tables").json()
    names = {(each["source"], each["name"], each["kind"]) for each in tables["tables"]}
    assert names == {
        ("f", "numbers", "table"),
        ("f", "small", "table"),
        ("lite", "late", "table"),
        (None, "evens", "view"),
    }
    table = client.get("/v1/catalog/table", params={"source": "f", "name": "small"}).json()
    assert table["owner"] == "somebody"
    assert table["comment"] == "a small one"
    assert [(each["name"], each["type"]) for each in table["columns"]] == [("a", "INTEGER"), ("b", "VARCHAR")]
    view = client.get("/v1/catalog/table", params={"schema": "shown", "name": "evens"}).json()
    assert [(each["name"], each["type"]) for each in view["columns"]] == [("id", "BIGINT")]


def test_explain(server: Running) -> None:
    body = {"sql": "SELECT a FROM f.small WHERE a = $a", "params": {"a": 1}}
    found = server.client.post("/v1/explain", json=body).json()
    assert found["plan"]["columns"] == [{"name": "a", "type": "INTEGER"}]
    assert found["plan"]["rows"] is None
    analyzed = server.client.post("/v1/explain", json={**body, "analyze": True}).json()
    assert analyzed["plan"]["rows"] == 1
    text = server.client.post("/v1/explain", json=body, headers={"Accept": "text/plain"})
    assert text.text.strip() == found["text"].strip()
