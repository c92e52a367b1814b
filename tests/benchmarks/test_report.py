"""What a benchmark says of its runs: medians, ratios, limits that were reached, wrong answers; and how it resumes."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.tpch.report import compare, markdown
from benchmarks.tpch.results import Results, Run, summarize

FACTS = {"scale": 1, "machine": "2 cores"}


def run(system: str, query: str, seconds: float, number: int = 0, **more: object) -> Run:
    fields = {"layout": "one", "link": "lan", "status": "ok", "sent": 0, "received": 1_000_000, **more}
    return Run(system=system, query=query, number=number, seconds=seconds, **fields)  # type: ignore[arg-type]


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(tmp_path / "new" / "results.json", dict(FACTS))


def test_the_median_of_the_runs_counts() -> None:
    runs = [run("federation", "q01", seconds, rows=rows, sent=5) for seconds, rows in ((9, 1), (1, 1), (2, 4))]
    summary = summarize(runs)
    assert (summary.status, summary.seconds, summary.rows, summary.bytes) == ("ok", 2, 1, 1_000_005)
    assert summary.peak_mib is None


def test_one_run_that_failed_is_a_query_that_failed() -> None:
    assert summarize([run("duckdb", "q01", 1), run("duckdb", "q01", 1, 1, status="wrong")]).status == "wrong"


def test_what_is_there_is_not_run_again(results: Results, tmp_path: Path) -> None:
    results.add(run("duckdb", "q01", 1))
    results.add(run("duckdb", "q02", 120, status="timeout"))
    again = Results(tmp_path / "new" / "results.json", {"scale": 1})
    assert again.runs == results.runs
    assert again.facts == FACTS
    assert again.has("one", "lan", "duckdb", "q01", 0)
    assert not again.has("one", "lan", "duckdb", "q01", 1)
    assert not again.has("one", "slow", "duckdb", "q01", 0)
    assert again.has("one", "lan", "duckdb", "q02", 2), "what was too slow once is not tried again"


def test_results_can_be_forgotten(results: Results, tmp_path: Path) -> None:
    results.add(run("duckdb", "q01", 1))
    results.add(run("federation", "q01", 1))
    results.forget(lambda each: each.system == "federation")
    assert [each.system for each in Results(tmp_path / "new" / "results.json", {}).runs] == ["duckdb"]


def test_ratios_are_over_what_both_did(results: Results) -> None:
    for query, ours, theirs in (("q01", 1.0, 4.0), ("q02", 3.0, 2.0), ("q03", 1.0, 6.0)):
        results.add(run("federation", query, ours, received=100))
        results.add(run("duckdb", query, theirs, received=400))
    results.add(run("federation", "q04", 50))
    found = compare(results.summaries("one", "lan", "federation"), results.summaries("one", "lan", "duckdb"))
    assert found is not None
    assert (found.queries, found.seconds, found.bytes) == (3, 5 / 12, 0.25)
    assert (found.slowest, found.slowest_query, found.at_most) == (1.5, "q02", False)


def test_a_limit_that_a_peer_reached_counts_as_its_time(results: Results) -> None:
    results.add(run("federation", "q01", 12))
    results.add(run("duckdb", "q01", 120, status="timeout"))
    found = compare(results.summaries("one", "lan", "federation"), results.summaries("one", "lan", "duckdb"))
    assert found is not None
    assert (found.seconds, found.at_most) == (0.1, True)
    report = markdown(results)
    assert "> 120" in report
    assert "≤ 0.10" in report


@pytest.mark.parametrize("status", ["wrong", "error", "timeout"])
def test_our_own_failure_is_no_time_to_compare(results: Results, status: str) -> None:
    results.add(run("federation", "q01", 1, status=status))
    results.add(run("duckdb", "q01", 10))
    assert compare(results.summaries("one", "lan", "federation"), results.summaries("one", "lan", "duckdb")) is None
    report = markdown(results)
    assert "| Federation | 0 of 1 |" in report
    assert "| one, lan | answered | all | 0 of 1 |" in report


def test_the_report_shows_aims_totals_and_queries(results: Results) -> None:
    results.note("lookups", {"one, direct": {"driver": 0.5, "federation": 2.75, "overhead": 2.25}})
    results.add(run("federation", "q01", 1.25, received=50_000, rows=4, peak_mib=205.4))
    results.add(run("duckdb", "q01", 2.5, peak_mib=100))
    lines = markdown(results).splitlines()
    assert "| one, lan | seconds | ≤ 0.75 | 0.50 | 1 |" in lines
    assert "| one, lan | bytes | ≤ 0.05 | 0.050 | 1 |" in lines
    assert any("2.25 ms (driver 0.50 ms, Federation 2.75 ms)" in line for line in lines)
    assert "| Federation | 1 of 1 | 1.25 | 0.05 | 205 |  |  |" in lines
    assert "| q01 | 1.250 | 0.050 | 4 | 205 | 2.500 | 1.000 |  | 100 | 0.500 |" in lines


def test_no_bytes_moved_is_no_ratio(results: Results) -> None:
    for system in ("federation", "duckdb"):
        results.add(run(system, "q02", 1, received=0))
    found = compare(results.summaries("one", "lan", "federation"), results.summaries("one", "lan", "duckdb"))
    assert found is not None
    assert found.bytes is None
    assert "| bytes |" not in markdown(results)


def test_second_runs_are_compared_with_first_ones(results: Results) -> None:
    for query, first, second in (("q01", 1.0, 0.05), ("q02", 3.0, 0.15)):
        results.add(run("federation", query, first))
        results.add(run("federation_cached", query, second))
    assert "| one, lan | second run with a cache, over the first | ≤ 0.12 | 0.05 | 2 |" in markdown(results)
