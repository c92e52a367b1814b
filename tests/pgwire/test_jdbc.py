"""pgjdbc at a server and at PostgreSQL, which holds the same tables: what it sees is the same.

One JVM runs all checks of `jdbc/Checks.java` at both.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.pgwire.overlay_world import World
from tests.pgwire.running import Postgres

SOURCE = Path(__file__).parent / "jdbc" / "Checks.java"
DRIVER = "/usr/share/java/postgresql.jar"
NAMES = re.findall(
    r'^ +(?:check|metadata|METADATA.put)\("([^"]+)"[,)]', SOURCE.read_text(encoding="utf-8"), re.MULTILINE
)

Seen = dict[str, Any]


@pytest.fixture(scope="module")
def seen(world: World, catalog_face: Postgres) -> tuple[Seen, Seen]:
    """What the checks saw by name, at PostgreSQL and at the server."""
    info = psycopg.conninfo.conninfo_to_dict(world.uri)
    theirs = "jdbc:postgresql://{host}:{port}/{dbname}?user={user}&password={password}".format(**info)
    ours = f"jdbc:postgresql://127.0.0.1:{catalog_face.port}/{info['dbname']}?user={info['user']}"
    java = ["java", "-XX:TieredStopAtLevel=1", "-Dfile.encoding=UTF-8", "-cp", DRIVER, str(SOURCE), theirs, ours]
    done = subprocess.run(java, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    found: tuple[Seen, Seen] = ({}, {})
    for line in done.stdout.splitlines():
        server, name, value = json.loads(line)
        found[server][name] = value
    return found


@pytest.mark.parametrize("name", NAMES)
def test_check(seen: tuple[Seen, Seen], name: str) -> None:
    theirs, ours = seen
    assert ours[name] == theirs[name]
    assert not str(ours[name]).startswith("unexpected")


def test_no_check_is_left_out(seen: tuple[Seen, Seen]) -> None:
    theirs, ours = seen
    assert sorted(theirs) == sorted(ours) == sorted(NAMES)
