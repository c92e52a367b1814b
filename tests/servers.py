"""Throw-away database servers for the tests: private folder, free port, gone with the process that started them.

A benchmark may keep the data: then only the private folder goes, and the next server finds the databases again.

Each server runs under a warden, a small shell process in a session of its own. The warden holds one end of a pipe
whose other end is ours: when we close it, or die in whatever way, it ends the server and removes the folder.
"""

from __future__ import annotations

import atexit
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

START_SECONDS = 120
USER = "federation"

WARDEN = """
folder=$1; signal=$2; shift 2
"$@" >"$folder/log" 2>&1 &
echo $! >"$folder/pid.new" && mv "$folder/pid.new" "$folder/pid"
cat >/dev/null
kill -"$signal" "$(cat "$folder/pid")" 2>/dev/null
wait
rm -rf "$folder"
"""


class ServerFailed(Exception):
    """A server did not start, or a set-up statement was refused."""


class Server:
    """A running server. `uri` names its first database; `stop` may be called more than once."""

    def __init__(self, folder: Path, uri: str, warden: subprocess.Popen[bytes]) -> None:
        self.folder = folder
        self.uri = uri
        self._warden = warden
        atexit.register(self.stop)

    def stop(self) -> None:
        atexit.unregister(self.stop)
        if self._warden.stdin and not self._warden.stdin.closed:
            self._warden.stdin.close()
        self._warden.wait(START_SECONDS)

    def run(self, script: str) -> str:
        """Run statements in the first database; see `run_sql`."""
        return run_sql(self.uri, script)

    def create_database(self, name: str, like: str | None = None) -> str:
        """An empty database beside the first one (dropped before, if it was there); its URI. PostgreSQL can copy
        another one, `like`."""
        with_force = " WITH (FORCE)" if self.uri.startswith("postgresql:") else ""
        quoted = f'"{name}"' if with_force else f"`{name}`"
        template = f' TEMPLATE "{like}" STRATEGY file_copy' if like else ""
        self.run(f"DROP DATABASE IF EXISTS {quoted}{with_force};\nCREATE DATABASE {quoted}{template};")
        return self.uri.rsplit("/", 1)[0] + "/" + name


def run_sql(uri: str, script: str) -> str:
    """Run a script with the server's own command-line client and return what it prints, tab separated.

    `psql` or `mariadb`, by the URI: the set-up does not depend on the drivers under test.
    """
    if urlsplit(uri).scheme == "postgresql":
        command = ["psql", "-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-d", uri]
        return _client(command, script, dict(os.environ, PGCLIENTENCODING="UTF8"))
    parts = urlsplit(uri)
    command = ["mariadb", "--no-defaults", "--protocol=tcp", "-N", "-B", "--local-infile=1"]
    command += ["--default-character-set=utf8mb4", f"--host={parts.hostname}", f"--port={parts.port}"]
    command += [f"--user={unquote(parts.username or '')}", parts.path.lstrip("/")]
    return _client(command, script, dict(os.environ, MYSQL_PWD=unquote(parts.password or "")))


def start_postgres(kept: Path | None = None, more: Mapping[str, str] | None = None) -> Server:
    """PostgreSQL in en_US.UTF-8, where the C locale would hide collation bugs, with a session zone that is not UTC.

    `kept` is a folder whose databases outlive the server; `more` are settings of the server. Without
    `kept` nothing is vacuumed or analyzed behind a test's back: plans would change, and that is a session as well.
    """
    binaries = _postgres_binaries()
    folder = _private_folder("postgres")
    owner = _unprivileged(folder, "postgres", reach=kept is not None)
    home = kept or folder
    if not (home / "data" / "PG_VERSION").exists():
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        _unprivileged(home, "postgres")
        (home / "password").write_text(secrets.token_hex(12))
        initdb = [*owner, f"{binaries}/initdb", "-D", f"{home}/data", "-U", USER, "--no-sync", "--encoding=UTF8"]
        initdb += ["--locale=en_US.UTF-8", "--auth=scram-sha-256", f"--pwfile={home}/password"]
        _set_up(initdb, folder)
    password = (home / "password").read_text()
    port = _free_port()
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": str(folder),
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        "wal_level": "minimal",  # a table that is filled where it is made is written once
        "max_wal_senders": "0",
        "max_connections": "100",
        "timezone": "America/New_York",
        "max_parallel_workers_per_gather": "0",
        "autovacuum": "on" if kept else "off",
        **(more or {}),
    }
    command = [*owner, f"{binaries}/postgres", "-D", f"{home}/data"]
    for key, value in settings.items():
        command += ["-c", f"{key}={value}"]
    base = f"postgresql://{USER}:{password}@127.0.0.1:{port}"
    server = Server(folder, f"{base}/{USER}", _start(command, folder, "INT"))
    _wait_until(server, lambda: run_sql(f"{base}/postgres", "SELECT 1"))
    if not run_sql(f"{base}/postgres", f"SELECT 1 FROM pg_database WHERE datname = '{USER}'"):
        run_sql(f"{base}/postgres", f"CREATE DATABASE {USER}")
    return server


def start_mariadb(kept: Path | None = None, more: Sequence[str] = ()) -> Server:
    """MariaDB with its usual case-insensitive collation and a session zone that is not UTC.

    `kept` is a folder whose databases outlive the server; `more` are options of the server.
    """
    folder = _private_folder("mariadb")
    password = secrets.token_hex(12)
    user = pwd.getpwuid(os.geteuid()).pw_name
    data = (kept or folder) / "data"
    # Two that set up their databases at once would share a file in /tmp.
    own = [f"--datadir={data}", f"--tmpdir={folder}", f"--user={user}"]
    if not (data / "mysql").exists():
        data.parent.mkdir(parents=True, exist_ok=True)
        install = ["mariadb-install-db", "--no-defaults", *own, "--skip-test-db"]
        _set_up([*install, "--auth-root-authentication-method=normal"], folder)
    port = _free_port()
    init = folder / "init.sql"
    init.write_text(
        f"CREATE DATABASE IF NOT EXISTS {USER};\n"
        f"CREATE OR REPLACE USER '{USER}'@'127.0.0.1' IDENTIFIED BY '{password}';\n"
        f"GRANT ALL ON *.* TO '{USER}'@'127.0.0.1' WITH GRANT OPTION;\n"
    )
    command = [shutil.which("mariadbd", path=_server_path()) or "mariadbd", "--no-defaults"]
    command += [*own, f"--socket={folder}/s", f"--pid-file={folder}/server.pid"]
    command += ["--bind-address=127.0.0.1", f"--port={port}", f"--init-file={init}"]
    command += ["--character-set-server=utf8mb4", "--collation-server=utf8mb4_general_ci", "--skip-name-resolve"]
    command += ["--default-time-zone=+05:30", "--max-connections=100", "--local-infile=1"]
    command += ["--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--innodb-buffer-pool-size=64M"]
    command += more
    uri = f"mysql://{USER}:{password}@127.0.0.1:{port}/{USER}"
    server = Server(folder, uri, _start(command, folder, "TERM"))
    _wait_until(server, lambda: run_sql(uri, "SELECT 1"))
    return server


def _postgres_binaries() -> str:
    """The newest installed server; Debian keeps its programs outside PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return str(found[-1].parent)
    initdb = shutil.which("initdb")
    if initdb is None:
        raise ServerFailed("PostgreSQL is not installed: run `make test`, which installs it")
    return str(Path(initdb).parent)


def _server_path() -> str:
    return os.environ.get("PATH", "") + ":/usr/sbin:/usr/libexec"


def _private_folder(kind: str) -> Path:
    return Path(tempfile.mkdtemp(prefix=f"federation-{kind}-", dir="/tmp"))


def _unprivileged(folder: Path, user: str, reach: bool = False) -> list[str]:
    """The prefix that runs a command as `user`, when we are root: PostgreSQL refuses to run as root. With `reach` it
    gets at a folder in root's own home."""
    if os.geteuid() != 0:
        return []
    account = pwd.getpwnam(user)
    os.chown(folder, account.pw_uid, account.pw_gid)
    capability = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"] if reach else []
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *capability]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _set_up(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, cwd="/")
    if done.returncode:
        shutil.rmtree(folder, ignore_errors=True)
        raise ServerFailed(f"{command[0]} failed: {done.stdout}{done.stderr}")


def _start(command: Sequence[str], folder: Path, signal: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["sh", "-c", WARDEN, "warden", str(folder), signal, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
    )


def _wait_until(server: Server, ready: Callable[[], object]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            ready()
            return
        except ServerFailed as exc:
            if time.monotonic() > deadline or not _alive(server.folder):
                log = (server.folder / "log").read_text(errors="replace")[-2000:]
                server.stop()
                raise ServerFailed(f"the server did not start: {exc}\n{log}") from exc
        time.sleep(0.1)


def _alive(folder: Path) -> bool:
    """Until the warden has written the number of the server's process, it is about to start."""
    pid = folder / "pid"
    if not pid.exists():
        return True
    try:
        os.kill(int(pid.read_text()), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _client(command: Sequence[str], script: str, environment: dict[str, str]) -> str:
    done = subprocess.run(command, input=script, capture_output=True, encoding="utf-8", env=environment)
    if done.returncode:
        raise ServerFailed(f"{command[0]}: {done.stderr.strip()}")
    return done.stdout
