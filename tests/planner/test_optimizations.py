"""Names of optimisations, as callers give them."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.errors import ProgrammingError
from federation.engine import Engine
from federation.planner.optimizations import ALL, Optimization, Optimizations, read_options


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("runtime_filter", "did you mean runtime_filters"),
        ("Costs", "did you mean costs"),
        ("", "the names are filter_pushdown, "),
        ("everything at once", "the names are filter_pushdown, "),
    ],
)
def test_an_unknown_name(tmp_path: Path, name: str, hint: str) -> None:
    (tmp_path / "federation.toml").write_text("", encoding="utf-8")
    with Engine.open(tmp_path) as engine:
        for run in (engine.query, engine.explain):
            with pytest.raises(ProgrammingError, match="there is no optimization") as caught:
                run("SELECT 1", options={"disable": ["costs", name]})
            assert caught.value.hint is not None
            assert caught.value.hint.startswith(hint)


def test_options() -> None:
    assert read_options({}) == read_options({"disable": []}) == Optimizations()
    assert read_options({"disable": ["costs"]}).disabled == {Optimization.COSTS}
    assert read_options({"pushdown": False, "disable": ["costs"]}).disabled == ALL
    assert not read_options({"disable": list(Optimization)}).pushdown
    assert read_options({"disable": list(Optimization)[1:]}).pushdown


def test_one_source_is_enough() -> None:
    options = Optimizations(quarantined={"pg": frozenset({Optimization.COSTS})})
    assert options.on(Optimization.COSTS)
    assert options.on(Optimization.COSTS, "lite")
    assert not options.on(Optimization.COSTS, "lite", "pg")
