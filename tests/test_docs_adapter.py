"""docs/write-an-adapter.md, executed: its adapter is installed, queried and put through its own tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pyarrow as pa
import pytest

from tests.adapters.conformance import PEOPLE

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "write-an-adapter.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
ASK = """
import sys
import federation
with federation.connect("federation.toml") as connection:
    for row in connection.execute(sys.argv[1]):
        print(*row)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The files of the page beside each other, with what installing them would leave behind."""
    for _, text in BLOCKS:
        first, _, rest = text.partition("\n")
        if name := re.fullmatch(r"# ([\w.]+)", first):
            (tmp_path / name[1]).write_text(rest, encoding="utf-8")
    points = tomllib.loads((tmp_path / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    info = tmp_path / "arrow_folder-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: arrow-folder\nVersion: 1.0\n", encoding="utf-8")
    lines = [
        line for group, names in points.items() for line in (f"[{group}]", *(f"{k} = {v}" for k, v in names.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path


def run(project: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(project), str(ROOT)])}
    ended = subprocess.run(
        [sys.executable, *arguments], cwd=project, env=environment, capture_output=True, text=True, timeout=300
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_the_adapter_is_found_and_answers(project: Path) -> None:
    folder = project / "archive"
    folder.mkdir()
    with pa.ipc.new_file(str(folder / "people.arrow"), PEOPLE.schema) as file:
        file.write_table(PEOPLE)
    (query,) = (text for language, text in BLOCKS if language == "sql")
    assert run(project, "-c", ASK, query).splitlines() == ["ADA 3.5", "Ada 9.5", "ada  9.5", "日本 🎉 1e+300"]


def test_the_adapter_passes_its_own_tests(project: Path) -> None:
    printed = run(project, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_arrow_folder.py")
    passed = re.search(r"(\d+) passed", printed)
    assert passed, printed
    assert int(passed[1]) > 50


def test_the_adapter_is_short(project: Path) -> None:
    """The page promises it; what grows here has grown in the interface."""
    lines = (project / "arrow_folder.py").read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if line.strip()]) <= 60
