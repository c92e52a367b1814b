"""psql itself, at a server and at PostgreSQL: what it prints is the same."""

from __future__ import annotations

import os
import subprocess

from tests.pgwire.overlay_world import World
from tests.pgwire.running import Postgres

COMMANDS = [
    *(r"\dn", r"\dt", r"\dv", r"\d", r"\d customers", r"\d+ customers", r"\d orders", r'\d "Odd Name"', r"\df", r"\dT"),
    *(r"\dp", r"\dx", r"\di", r"\d pg_am", r"\dS pg_tables", r"\df pg_catalog.age"),
]


def test_psql_prints_the_same(world: World, catalog_face: Postgres) -> None:
    assert _printed(catalog_face.uri) == _printed(world.uri)


def _printed(uri: str) -> str:
    commands = [argument for command in COMMANDS for argument in ("-c", command)]
    done = subprocess.run(
        ["psql", "-X", "-d", uri, "-c", "SET search_path = shop", *commands],
        capture_output=True,
        text=True,
        env=dict(os.environ, PGCLIENTENCODING="UTF8"),
    )
    return done.stdout + done.stderr
