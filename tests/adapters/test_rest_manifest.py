"""What the catalog file may say about a REST source; every fault at once, no value shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.errors import CatalogError
from adapters.registry import make_adapter
from adapters.rest import RestAdapter
from adapters.rest_manifest import Model

TABLE: dict[str, Any] = {"path": "/t", "columns": {"id": "int64", "name": "string", "x": "double", "j": "json"}}
GOOD: dict[str, Any] = {"base_url": "https://api.example.com/v1/", "tables": {"t": TABLE}}


def table(**changes: Any) -> dict[str, Any]:
    return {**GOOD, "tables": {"t": {**TABLE, **changes}}}


def test_it_is_registered_and_nothing_is_contacted() -> None:
    adapter = make_adapter("api", "rest", GOOD)
    assert isinstance(adapter, RestAdapter)
    assert [name.name for name in adapter.list_tables()] == ["t"]
    adapter.close()


FAULTS: list[tuple[dict[str, Any], str, str | None]] = [
    ({}, "base_url: Field required", None),
    ({**GOOD, "base_ur": "x"}, "base_ur: this key is unknown", 'did you mean "base_url"?'),
    ({**GOOD, "base_url": "file:///etc/passwd"}, "base_url starts with http", None),
    ({**GOOD, "base_url": "https://ada:s3cret@example.com"}, "credentials belong into auth", None),
    ({**GOOD, "auth": {"kind": "magic"}}, "auth: ", None),
    ({**GOOD, "auth": {"kind": "bearer"}}, "token: Field required", None),
    ({**GOOD, "auth": {"kind": "bearer", "token": "s3cret", "tokn": "s3cret"}}, "tokn: this key is unknown", None),
    ({**GOOD, "auth": {"kind": "api_key", "key": "s3cret"}}, "either header or query", None),
    (
        {**GOOD, "auth": {"kind": "api_key", "key": "s3cret", "header": "A", "query": "b"}},
        "either header or query",
        None,
    ),
    ({**GOOD, "headers": {"X-Key": "s3cret\r\nX: y"}}, "one line of printable ASCII", None),
    ({**GOOD, "headers": {"X Key": "s3cret"}}, "the name of a header", None),
    ({**GOOD, "auth": {"kind": "bearer", "token": "s3cret\n"}}, "one line of printable ASCII", None),
    ({**GOOD, "auth": {"kind": "bearer", "token": "é"}}, "one line of printable ASCII", None),
    ({**GOOD, "timeout": "soon"}, "timeout: ", None),
    ({**GOOD, "timeout": 0}, "timeout: ", None),
    (table(path="t"), "a path starts with /", None),
    (table(path="/a/../b"), "a path starts with /", None),
    (table(path="/t?x=1"), "a path starts with /", None),
    (table(path="/t/{id"), "a placeholder is a column in braces", None),
    (table(path="/t/{id}"), "every placeholder of path needs a filter without param", None),
    (table(records="items"), "a path looks like", None),
    (table(columns={}), "tables.t.columns: ", None),
    (table(columns={"id": "integer"}), "no column type; known: string", None),
    (table(columns=[{"type": "int64"}]), "needs a name of its own", None),
    (table(columns=[{"name": "a", "type": "int64"}] * 2), "needs a name of its own", None),
    (table(primary_key=["nope"]), 'there is no column "nope"', None),
    (table(filters={"nope": {"param": "x"}}), 'there is no column "nope"', None),
    (table(filters={"x": {"param": "x"}}), 'column "x" is of a type that cannot be filtered on', None),
    (table(filters={"j": {"param": "x"}}), 'column "j" is of a type that cannot be filtered on', None),
    (table(filters={"id": {"param": "x", "ops": ["like"]}}), "tables.t.filters.id", None),
    (table(filters={"id": {"param": "x", "ops": [">="], "required": True}}), 'needs "=" or "in"', None),
    (table(filters={"id": {}}), "every placeholder of path needs a filter without param", None),
    (table(paginate={"kind": "page", "param": "p", "short_page_is_last": True}), "needs page_size", None),
    (table(page_size={"param": "limit", "max": 10}), "page_size needs paginate", None),
    (table(paginate={"kind": "scroll"}), "tables.t.paginate: ", None),
    (table(columns={"id": {"type": "int64", "request_only": True}}), "a request_only column needs", None),
    (table(get_by_key={}), "a path such as /items/{id}, or a batch", None),
    (table(primary_key=["id"], get_by_key={"path": "/t/{name}"}), "must name each column of primary_key", None),
    (table(primary_key=["id", "name"], get_by_key={"batch": {"param": "k", "max": 5}}), "of one column", None),
]


@pytest.mark.parametrize(("options", "message", "hint"), FAULTS)
def test_a_fault_names_its_place_and_no_value(options: dict[str, Any], message: str, hint: str | None) -> None:
    with pytest.raises(CatalogError) as caught:
        RestAdapter("api", options)
    assert message in caught.value.message
    assert hint is None or caught.value.hint == hint
    assert caught.value.source == "api"
    error: BaseException | None = caught.value
    while error is not None:
        assert "s3cret" not in repr(error) + str(error)
        error = error.__cause__ or error.__context__


def _models(model: type[Model] = Model) -> Iterator[type[Model]]:
    for below in model.__subclasses__():
        yield below
        yield from _models(below)


def test_every_key_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "adapters" / "rest.md").read_text(encoding="utf-8")
    prose = re.sub(r"```.*?```", "", page, flags=re.DOTALL)
    documented = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", prose))))
    missing = {key for model in _models() for key in model.model_fields} - documented
    assert not missing


def test_every_fault_is_reported() -> None:
    with pytest.raises(CatalogError) as caught:
        RestAdapter("api", {**table(records="x", primary_kye=["id"]), "timeout": "?", "auth": {"kind": "?"}})
    assert len(caught.value.message.splitlines()) == 4
    assert caught.value.hint == 'did you mean "primary_key"?'
