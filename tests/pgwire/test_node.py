"""node-postgres (`pg`, `pg-cursor`): `node/client.test.js` at a server with TLS and users."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from pathlib import Path

from tests.pgwire.running import PASSWORD, Postgres

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).parent / "node"
INSTALL = "npm ci --ignore-scripts --no-audit --no-fund --silent"


def modules() -> Path:
    """The folder of the packages that `node/package-lock.json` names: installed once for all processes."""
    built = ROOT / "build" / "node"
    built.mkdir(parents=True, exist_ok=True)
    with (built / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted, installed = PROGRAM / "package-lock.json", built / "node_modules" / "installed.json"
        if not installed.exists() or installed.read_bytes() != wanted.read_bytes():
            for name in ("package.json", "package-lock.json"):
                shutil.copy(PROGRAM / name, built)
            subprocess.run(INSTALL.split(), cwd=built, check=True)
            shutil.copy(wanted, installed)
    return built / "node_modules"


def test_node_postgres(guarded: Postgres, certificate: Path) -> None:
    server = {"host": "127.0.0.1", "port": guarded.port, "database": "federation"}
    server |= {"user": "ada", "password": PASSWORD, "certificate": str(certificate / "cert.pem")}
    environment = {**os.environ, "NODE_PATH": str(modules()), "FEDERATION_SERVER": json.dumps(server)}
    command = ["node", "--test", str(PROGRAM / "client.test.js")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
