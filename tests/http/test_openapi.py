"""The OpenAPI document is true: schemathesis asks whatever it allows, and more, and checks every answer against it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.http.running import Running, environment, start_server, write_sample

# What a schema cannot say: whether a text is SQL, whether there is such a table, whether a host may be called. And what
# was cancelled is still listed.
BEYOND_A_SCHEMA = """
[[operations]]
include-path-regex = "^/v1/(query|explain|statements|catalog/tables?|cache/invalidate)$"
checks = { positive_data_acceptance = { enabled = false } }

[[operations]]
include-path-regex = "^/v1/(queries|statements)/"
checks = { use_after_free = { enabled = false } }
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("openapi")
    write_sample(folder)
    with start_server(folder) as server:
        yield server


def test_every_answer_is_as_documented(own: Running, tmp_path: Path) -> None:
    config = tmp_path / "schemathesis.toml"
    config.write_text(BEYOND_A_SCHEMA, encoding="utf-8")
    program = Path(sys.executable).parent / "schemathesis"
    command = [str(program), "--config-file", str(config), "run", f"{own.url}/openapi.json", "--no-color", "--seed=1"]
    done = subprocess.run(
        [*command, "--max-examples=10"], capture_output=True, text=True, cwd=tmp_path, env=environment()
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Stateful" in done.stdout


def test_nothing_went_wrong_in_the_server(own: Running) -> None:
    log = (own.folder / "server.log").read_text()
    assert "Traceback" not in log
    assert own.query("SELECT 1").json()["rows"] == [[1]]


def test_every_route_is_in_the_document(own: Running) -> None:
    paths = own.client.get("/openapi.json").json()["paths"]
    assert {"/v1/query", "/v1/explain", "/v1/statements/{statement_id}/result", "/v1/catalog", "/metrics"} <= set(paths)


def test_every_path_is_on_the_page() -> None:
    from federation.http import admin, catalog_list, health, query, query_list, statements

    page = (Path(__file__).parents[2] / "docs" / "http.md").read_text(encoding="utf-8")
    for module in (admin, catalog_list, health, query, query_list, statements):
        for route in module.router.routes:
            path = getattr(route, "path")  # noqa: B009 -- the stubs know plain routes only
            method = next(iter(getattr(route, "methods")))  # noqa: B009
            assert f"`{method} {path}`" in page


def test_the_pages_need_nothing_from_elsewhere(own: Running) -> None:
    page = own.client.get("/docs").text
    assert "http://" not in page
    assert "https://" not in page
    for path in ("/static-offline-docs/swagger-ui-bundle.js", "/static-offline-docs/swagger-ui.css"):
        assert path in page
        assert own.client.get(path).status_code == 200
