"""The results as Markdown: what was aimed at, the totals, and a table of queries for each layout and link."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.tpch.results import Results, Summary

US, CACHED, PEER = "federation", "federation_cached", "duckdb"
NAMES: Mapping[str, str] = {
    "federation": "Federation",
    "federation_cached": "Federation, second run with a cache",
    "duckdb": "DuckDB with extensions",
    "postgres": "PostgreSQL",
    "postgres_fdw": "postgres_fdw",
}


@dataclass(frozen=True)
class Aim:
    """Ours divided by DuckDB's with extensions: at most this. None is not aimed at."""

    seconds: float
    slowest: float | None = None
    bytes: float | None = None


AIMS: Mapping[tuple[str, str], Aim] = {
    ("one", "lan"): Aim(0.75, 1.3, 0.05),
    ("two", "lan"): Aim(0.60, 1.3, 0.30),
    ("four", "lan"): Aim(0.60, 1.3, 0.30),
    ("one", "slow"): Aim(0.25),
    ("two", "slow"): Aim(0.25),
    ("four", "slow"): Aim(0.25),
}
LOOKUP_AIM_MS = 3.0
CACHED_AIM = 0.12  # the second runs divided by the first ones


@dataclass(frozen=True)
class Comparison:
    """Two systems over the queries that both were asked. Each value is ours divided by the other's; `at_most` says that
    the other did not finish every query, so that the true ratio of seconds is lower."""

    queries: int
    seconds: float
    bytes: float | None
    slowest: float
    slowest_query: str
    at_most: bool


def compare(ours: Mapping[str, Summary], theirs: Mapping[str, Summary]) -> Comparison | None:
    """None when there is nothing that can be compared: a query that failed took no time that counts, but one that
    the other system was too slow for counts with the time it was given."""
    both = [q for q in ours if q in theirs and ours[q].status == "ok" and theirs[q].status in ("ok", "timeout")]
    if not both:
        return None
    ratios = {query: ours[query].seconds / theirs[query].seconds for query in both}
    slowest = max(both, key=ratios.__getitem__)
    moved = sum(theirs[query].bytes for query in both)
    return Comparison(
        len(both),
        sum(ours[query].seconds for query in both) / sum(theirs[query].seconds for query in both),
        sum(ours[query].bytes for query in both) / moved if moved else None,
        ratios[slowest],
        slowest,
        any(theirs[query].status == "timeout" for query in both),
    )


def markdown(results: Results) -> str:
    """The whole report."""
    facts = ", ".join(f"{key}: {value}" for key, value in results.facts.items() if key != "lookups")
    parts = ["# TPC-H over several sources", facts + ".", _NOTES, "## Aims", _aims(results)]
    for layout, link in results.places():
        parts += [f"## Layout {layout}, link {link}", _totals(results, layout, link), _queries(results, layout, link)]
    return "\n\n".join(parts) + "\n"


_NOTES = """Seconds, bytes, rows and memory are medians of the runs. Bytes are those that the proxy counted in both \
directions while the query ran; SQLite and Parquet are local files for every system and count as zero. Rows are what \
all sources sent, where a system says so. Memory is the peak of the client's process. `>` marks a time limit that was \
reached. Ratios are Federation's value divided by the other's, over the queries that both were asked and Federation \
answered; a time limit counts as the time taken."""


def _aims(results: Results) -> str:
    rows = []
    for layout, link in results.places():
        aim, where = AIMS.get((layout, link)), f"{layout}, {link}"
        ours = results.summaries(layout, link, US)
        if failed := [query for query, summary in ours.items() if summary.status != "ok"]:
            rows.append([where, "answered", "all", f"{len(ours) - len(failed)} of {len(ours)}", str(len(ours))])
        found = compare(ours, results.summaries(layout, link, PEER))
        second = compare(results.summaries(layout, link, CACHED), ours)
        if second is not None:
            row = [where, "second run with a cache, over the first", f"≤ {CACHED_AIM:.2f}", f"{second.seconds:.2f}"]
            rows.append([*row, str(second.queries)])
        if aim is None or found is None:
            continue
        most = "≤ " if found.at_most else ""
        rows.append([where, "seconds", f"≤ {aim.seconds:.2f}", f"{most}{found.seconds:.2f}", str(found.queries)])
        if aim.slowest is not None:
            value = f"{found.slowest:.2f} ({found.slowest_query})"
            rows.append([where, "slowest query", f"≤ {aim.slowest:.1f}", value, str(found.queries)])
        if aim.bytes is not None and found.bytes is not None:
            rows.append([where, "bytes", f"≤ {aim.bytes:.2f}", f"{found.bytes:.3f}", str(found.queries)])
    for where, times in results.facts.get("lookups", {}).items():
        value = "{overhead:.2f} ms (driver {driver:.2f} ms, Federation {federation:.2f} ms)".format(**times)
        rows.append([where, "point lookup, over the driver", f"≤ {LOOKUP_AIM_MS:.0f} ms", value, "1"])
    return _table(["layout, link", "against DuckDB with extensions", "aim", "measured", "queries"], rows)


def _totals(results: Results, layout: str, link: str) -> str:
    ours = results.summaries(layout, link, US)
    rows = []
    for system in results.systems(layout, link):
        found = results.summaries(layout, link, system)
        good = [summary for summary in found.values() if summary.status == "ok"]
        against = compare(ours, found) if system != US else None
        rows.append(
            [
                NAMES[system],
                f"{len(good)} of {len(found)}",
                f"{sum(each.seconds for each in good):.2f}",
                f"{sum(each.bytes for each in good) / 1e6:.2f}",
                f"{max((each.peak_mib or 0 for each in good), default=0):.0f}",
                _ratio(against.seconds if against else None, at_most=bool(against and against.at_most)),
                _ratio(against.bytes if against else None),
            ]
        )
    heads = ["system", "answered", "seconds", "MB moved", "peak MiB", "ratio of seconds", "ratio of bytes"]
    return _table(heads, rows)


def _queries(results: Results, layout: str, link: str) -> str:
    systems = results.systems(layout, link)
    found = {system: results.summaries(layout, link, system) for system in systems}
    heads = ["query"]
    for system in systems:
        heads += [f"{NAMES[system]} s", "MB", "rows", "MiB"]
        heads += ["ratio"] if system != US else []
    rows = []
    for query in sorted({query for each in found.values() for query in each}):
        row = [query]
        ours = found.get(US, {}).get(query)
        for system in systems:
            here = found[system].get(query)
            row += _cells(here)
            if system != US:
                pair = compare({query: ours}, {query: here}) if ours and here else None
                row.append(_ratio(pair.seconds if pair else None, at_most=bool(pair and pair.at_most)))
        rows.append(row)
    return _table(heads, rows)


def _cells(here: Summary | None) -> list[str]:
    if here is None:
        return ["", "", "", ""]
    if here.status in ("wrong", "error"):
        return [f"**{here.status}**", "", "", ""]
    seconds = f"> {here.seconds:.0f}" if here.status == "timeout" else f"{here.seconds:.3f}"
    rows = "" if here.rows is None else f"{here.rows:.0f}"
    return [seconds, f"{here.bytes / 1e6:.3f}", rows, "" if here.peak_mib is None else f"{here.peak_mib:.0f}"]


def _ratio(value: float | None, *, at_most: bool = False) -> str:
    return "" if value is None else f"{'≤ ' if at_most else ''}{value:.3f}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])
