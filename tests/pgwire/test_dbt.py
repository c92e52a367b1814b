"""dbt over a server: what reads works, what writes is refused and says why. `dbt/` is its project."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.environments import environment
from tests.pgwire.overlay_world import World
from tests.pgwire.running import Postgres

PROJECT = Path(__file__).parent / "dbt"
INLINE = "select name from {{ source('shop', 'customers') }} order by name"
COMMANDS = {
    "debug": ["debug"],
    "docs": ["docs", "generate"],
    "test": ["test"],
    "show": ["show", "--inline", INLINE],
    "freshness": ["source", "freshness"],
    "run": ["run"],
}


@pytest.fixture
def ran(catalog_face: Postgres, tmp_path: Path) -> dict[str, dict[str, Any]]:
    """How each of the commands ended. A start of dbt takes longer than all of them."""
    shutil.copytree(PROJECT, tmp_path, dirs_exist_ok=True)
    command: list[str | Path] = [
        environment("dbt"),
        tmp_path / "run.py",
        tmp_path,
        json.dumps(list(COMMANDS.values())),
    ]
    variables = {**os.environ, "FEDERATION_PORT": str(catalog_face.port)}
    done = subprocess.run(command, capture_output=True, text=True, env=variables, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return dict(zip(COMMANDS, json.loads(done.stdout.splitlines()[-1]), strict=True))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_dbt(world: World, ran: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    assert [name for name, each in ran.items() if each["success"]] == ["debug", "docs", "show", "freshness"], ran

    ended = {name: status for name, (status, _) in ran["test"]["nodes"].items()}
    assert sorted(ended.values()) == ["fail", "pass", "pass", "pass", "pass"]
    assert ended["source_not_null_shop_customers_born"] == "fail"

    for name, kind in (("spent", "TABLE"), ("known", "VIEW")):
        status, message = ran["run"]["nodes"][name]
        assert status == "error"
        assert f"CREATE {kind} would write, and nothing here is writable" in message

    catalog = json.loads((tmp_path / "target" / "catalog.json").read_text())
    _, theirs = world.theirs(
        """SELECT 'source.shop.shop.' || relname,
          array_agg(attname || ' ' || format_type(atttypid, atttypmod) ORDER BY attnum)
        FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid AND attnum > 0
        WHERE relnamespace = 'shop'::regnamespace AND relname IN ('customers', 'orders') AND relkind = 'r' GROUP BY 1"""
    )
    assert {
        name: [f"{column['name']} {column['type']}" for column in source["columns"].values()]
        for name, source in catalog["sources"].items()
    } == dict(theirs)
    assert catalog["sources"]["source.shop.shop.customers"]["metadata"]["comment"] == "people who buy"
