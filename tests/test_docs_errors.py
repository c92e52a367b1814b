"""docs/errors.md has every class of error, with its SQLSTATE, its base and whether it is retryable."""

from __future__ import annotations

import pkgutil
import re
from importlib import import_module
from pathlib import Path

import pytest

import federation
from adapters.errors import Error

PAGE = Path(__file__).parent.parent / "docs" / "errors.md"
ROW = re.compile(r"^\| `(\w{5})` \| `(\w+)` \| `(\w+)` \| (yes|no) \| .+ \| .*\|$", re.MULTILINE)

for module in pkgutil.walk_packages(federation.__path__, "federation."):
    if not module.name.endswith("__main__"):
        import_module(module.name)


def classes_below(top: type[Error]) -> list[type[Error]]:
    """Every class of the product; tests may have made some of their own."""
    ours = top.__module__.startswith(("adapters.", "federation."))
    return ([top] if ours else []) + [each for below in top.__subclasses__() for each in classes_below(below)]


def documented() -> dict[str, tuple[str, str, str]]:
    rows = ROW.findall(PAGE.read_text(encoding="utf-8"))
    assert len(rows) == len({name for _, name, _, _ in rows}), "a class has two rows"
    return {name: (sqlstate, base, retryable) for sqlstate, name, base, retryable in rows}


def test_every_row_is_read() -> None:
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if re.match(r"\| `\w{5}` \|", line)]
    assert len(lines) == len(documented())


CLASSES = sorted(set(classes_below(Error)), key=lambda each: each.__name__)


@pytest.mark.parametrize("error", CLASSES)
def test_every_class_is_documented(error: type[Error]) -> None:
    expected = (error.sqlstate, error.__bases__[0].__name__, "yes" if error.retryable else "no")
    assert documented().get(error.__name__) == expected


def test_nothing_is_documented_that_is_not_there() -> None:
    assert not documented().keys() - {each.__name__ for each in classes_below(Error)}


def test_every_attribute_is_documented() -> None:
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(rows) == {*vars(Error("x")), "sqlstate", "retryable", "__cause__"}
