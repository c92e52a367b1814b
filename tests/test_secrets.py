"""Secrets stay out of errors, plans and logs."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.errors import Error
from federation.engine import Engine
from tests.adapters.rest_server import Resource, RestServer

SECRET = "hunter2-s3cret-pa55"
SECRETS = """
[sources.pg]
adapter = "postgres"
uri = "postgresql://me:{secret}@127.0.0.1:1/db"
[sources.my]
adapter = "mysql"
uri = "mysql://me:{secret}@127.0.0.1:1/db"
[sources.crm]
adapter = "rest"
base_url = "{url}"
allow_private = true
auth = {{ kind = "bearer", token = "{secret}" }}
retry = {{ attempts = 1 }}
[sources.crm.tables.contacts]
path = "/contacts"
records = "$.items"
columns = {{ id = "int64" }}
"""


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Engine]:
    """Sources that refuse: nobody listens there, or the token is wrong."""
    with RestServer({"/contacts": Resource([{"id": 1}])}) as server:
        path = tmp_path / "federation.toml"
        path.write_text(SECRETS.format(secret=SECRET, url=server.url))
        with Engine.open(path) as engine:
            yield engine


@pytest.mark.parametrize("table", ["pg.t", "my.t", "crm.contacts"])
def test_secrets_stay_out_of_errors_plans_and_logs(
    guarded: Engine, caplog: pytest.LogCaptureFixture, table: str
) -> None:
    caplog.set_level(logging.DEBUG)
    sql = f"SELECT * FROM {table}"
    with pytest.raises(Error) as caught, guarded.query(sql) as result:
        result.read_all()
    shown = [caplog.text]
    error: BaseException | None = caught.value
    while error is not None:
        shown += [str(error), repr(error), str(getattr(error, "hint", None))]
        error = error.__cause__
    assert SECRET not in "\n".join(shown)
    assert caught.value.source == table.partition(".")[0]


def test_secrets_stay_out_of_plans(guarded: Engine) -> None:
    explanation = guarded.explain(f"SELECT id, '{SECRET}' AS given FROM crm.contacts WHERE id > 0")
    assert SECRET not in explanation.text()
    assert SECRET not in json.dumps(explanation.to_json())
