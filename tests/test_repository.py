"""The repository itself: small files, documentation that matches the code, nothing that does not belong here."""

from __future__ import annotations

import argparse
import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("adapters", "catalog", "cache", "federation", "tests", "benchmarks", "docs", "examples")
MOST_LINES = 450
MOST_FUNCTION_LINES = 70
# Built from parts, so that this file does not contain what it looks for.
FORBIDDEN = [
    "TO" + "DO",
    "FIX" + "ME",
    "HA" + "CK",
    "break" + "point(",
    "pytest." + "skip",
    "mark." + "skip",
    "mark." + "xfail",
    "except" + ":",
    "--index" + "-url",
    "extra-index" + "-url",
]
# Places that only one machine has.
MACHINE = ["/" + "work/", "/" + "root/", "/" + "home/"]


# An abstract fixture of a test may raise it; the product declines with a typed error.
UNFINISHED = "NotImplemented" + "Error"


def _files(*suffixes: str) -> list[Path]:
    """The project's own files: nothing hidden but the CI's scripts, nothing built or downloaded."""
    found = [path for path in ROOT.iterdir() if path.is_file()]
    for folder in (".ci", "requirements", *FOLDERS):
        found += [path for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return sorted(path for path in found if path.name.endswith(suffixes))


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


PYTHON = _files(".py")


def test_files_have_one_purpose() -> None:
    lines = {_name(path): path.read_text(encoding="utf-8").count("\n") for path in PYTHON}
    assert not {name: count for name, count in lines.items() if count > MOST_LINES}


def test_functions_fit_on_a_screen() -> None:
    long = []
    for path in PYTHON:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        long += [
            f"{_name(path)}: {function.name}"
            for function in functions
            if (function.end_lineno or function.lineno) - function.lineno > MOST_FUNCTION_LINES
        ]
    assert not long


def test_nothing_is_left_behind() -> None:
    found = []
    for path in _files(".py", ".md", ".toml", ".sh", ".lock", ".in", "Makefile", "run", "venv", "servers", "apt"):
        text = path.read_text(encoding="utf-8")
        found += [f"{_name(path)}: {word}" for word in FORBIDDEN if re.search(rf"(?<!\w){re.escape(word)}", text)]
        found += [f"{_name(path)}: {place}" for place in MACHINE if place in text]
        found += [f"{_name(path)}: {UNFINISHED}"] if UNFINISHED in text and "tests" not in path.parts else []
    assert not found


def test_locks_hold_versions_and_hashes_only() -> None:
    for path in _files(".lock"):
        for line in path.read_text().splitlines():
            assert re.fullmatch(r"[\w.-]+==\S+( ; .+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?", line), _name(path)


def test_locks_of_node_hold_no_addresses() -> None:
    for path in _files("package-lock.json"):
        assert "://" not in path.read_text(), _name(path)


@pytest.mark.parametrize("package", ["adapters", "catalog", "federation"])
def test_packages_say_what_they_are_for(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), _name(path)


def _documentation() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in _files(".md"))


def test_every_adapter_and_its_options_are_documented() -> None:
    from adapters.registry import adapter_class, adapter_names

    for kind in adapter_names():
        page = (ROOT / "docs" / "adapters" / f"{kind}.md").read_text(encoding="utf-8")
        missing = [option for option in adapter_class(kind).options if f"`{option}`" not in page]
        assert not missing, f"docs/adapters/{kind}.md lacks {missing}"


def test_every_catalog_key_is_documented() -> None:
    from catalog import config

    keys = {*config.SECTIONS, *config.SETTINGS, *config.SOURCE_KEYS, *config.LIMIT_KEYS, *config.TABLE_KEYS}
    text = _documentation()
    assert not sorted(key for key in keys if f"`{key}`" not in text and f"[{key}" not in text)


def test_every_sqlstate_is_documented() -> None:
    from adapters import errors

    classes = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, errors.Error)]
    text = _documentation()
    assert not sorted(f"{each.sqlstate} {each.__name__}" for each in classes if f"`{each.sqlstate}`" not in text)


def test_every_command_and_option_is_documented() -> None:
    from federation.cli.main import make_parser

    text = _documentation()
    for name, parser in _commands(make_parser()):
        assert f"federation {name}" in text, name
        options = [option for action in parser._actions for option in action.option_strings if option.startswith("--")]
        missing = [option for option in options if option != "--help" and f"{option}" not in text]
        assert not missing, f"federation {name}: {missing}"


def _commands(parser: argparse.ArgumentParser) -> list[tuple[str, argparse.ArgumentParser]]:
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return [pair for group in groups for pair in group.choices.items()]


def test_links_of_the_documentation_lead_somewhere() -> None:
    missing = []
    for page in _files(".md"):
        prose = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for path, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)", prose):
            target = page.parent / path if path else page
            if not target.exists() or (anchor and anchor not in _anchors(target)):
                missing.append(f"{_name(page)}: {path}#{anchor}")
    assert not missing


def _anchors(page: Path) -> set[str]:
    """The headings of a page, as a browser addresses them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def test_make_targets_of_the_documentation_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([\w-]+)", _documentation()))
    assert named <= targets


def test_ci_runs_the_tests_and_nothing_else() -> None:
    assert "exec make test" in (ROOT / ".ci" / "run").read_text()


def test_version_is_in_the_changelog() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert version in (ROOT / "CHANGELOG.md").read_text()


def test_import_contracts_know_every_module_of_an_adapter() -> None:
    """import-linter has no pattern for `postgres_*`: a module that is in no list could be imported from anywhere."""
    from adapters.registry import adapter_names

    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    listed = {contract["id"]: set(contract["protected_modules"]) for contract in contracts if "id" in contract}
    paths = [*(ROOT / "adapters").glob("*.py"), *(ROOT / "adapters" / "sql").glob("*.py")]
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts): path.stem.split("_")[0] for path in paths}
    kinds = adapter_names()
    assert listed == {kind: {module for module, stem in modules.items() if stem == kind} for kind in kinds}
