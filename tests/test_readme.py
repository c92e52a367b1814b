"""Every code block of README.md runs, in the order of the page, over the demo's four systems.

`bash` blocks run as scripts in one folder, whose `.venv` is the one of this run. `make demo` there runs the demo
without its set-up; `make` with anything else only checks that it knows the target, or the suite would run itself. In
`console` blocks each `$ command` is followed by what it prints, `…` standing for anything. `python` blocks are scripts,
`toml` blocks catalog files, `sql` blocks queries.
"""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from catalog.config import read_config

ROOT = Path(__file__).parent.parent
BLOCKS = re.findall(
    r"^```(\w*)\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
)
SHELL = """set -euo pipefail
make() {
  command make -C "$ROOT" -n "$@" >/dev/null
  [ "$*" != demo ] || python "$ROOT/examples/demo/run.py" --data "$DEMO_DATA"
}
git() { :; }
cd() { :; }
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The demo's systems, up, and the variables that name them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = tmp_path_factory.mktemp("data")
    run = [sys.executable, str(ROOT / "examples" / "demo" / "run.py"), "--data", str(data), "--serve"]
    with subprocess.Popen([*run, "--port", str(port)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        exports = _exports(iter(process.stdout.readline, ""))
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        state = str(tmp_path_factory.mktemp("state"))
        yield {**os.environ, **exports, "PATH": path, "ROOT": str(ROOT), "XDG_STATE_HOME": state}
        process.terminate()


def _exports(lines: Iterator[str]) -> dict[str, str]:
    """What `run.py --serve` prints for other terminals, up to the command that it ends with."""
    found: dict[str, str] = {}
    for line in lines:
        if line.startswith("export "):
            name, _, value = line.removeprefix("export ").strip().partition("=")
            found[name] = "".join(shlex.split(value))
        elif found and line.strip():
            break
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands run: what they write stays out of the repository."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / ".venv").symlink_to(Path(sys.prefix))
    (folder / "examples").symlink_to(ROOT / "examples")
    (folder / "federation.toml").symlink_to(ROOT / "examples" / "demo" / "federation.toml")
    return folder


def test_the_page_has_examples() -> None:
    assert {"bash", "python", "toml"} <= {language for language, _ in BLOCKS}


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_block_runs(number: int, environment: dict[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    language, text = BLOCKS[number]
    if language == "bash":
        _run(["bash", "-c", SHELL + text], environment, folder)
    elif language == "console":
        _console(text, environment, folder)
    elif language == "python":
        _run([sys.executable, "-c", text], environment, folder)
    elif language == "sql":
        _run(["federation", "query", text], environment, folder)
    elif language == "toml":
        (folder / "block.toml").write_text(text, encoding="utf-8")
        for name in re.findall(r"\$\{env:(\w+)\}", text):
            monkeypatch.setenv(name, "1")
        _, faults = read_config(folder / "block.toml")
        assert not faults
    else:
        assert language == "text", f"block {number} is of an unknown language: {language!r}"


def _console(text: str, environment: Mapping[str, str], folder: Path) -> None:
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, printed = part.partition("\n")
        actual = _run(["bash", "-c", SHELL + command], environment, folder)
        pattern = ".*".join(map(re.escape, printed.strip().split("…")))
        assert re.fullmatch(pattern, actual.strip(), re.DOTALL), f"$ {command}\n{actual}"


def _run(command: list[str], environment: Mapping[str, str], folder: Path) -> str:
    start = time.monotonic()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"after {time.monotonic() - start:.0f} s: {done.stderr}\n{done.stdout}"
    return done.stdout
