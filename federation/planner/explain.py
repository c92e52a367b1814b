"""EXPLAIN: the plan as text and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import sqlglot

from federation.planner.nodes import Cost, Fragment, Note, Plan, RuntimeFilter, TableScan
from federation.progress import Freshness, State, written

if TYPE_CHECKING:
    from federation.execute import Execution
    from federation.fetch import FetchStats

SHOWN = 2000  # characters of a request in the text


class Explanation:
    """A plan, and after EXPLAIN ANALYZE what it cost. `scrub` removes secrets from every text; `freshness` says of
    fragments by their names where their rows are, or would be, from; `expected` is the answer, if that was asked."""

    def __init__(
        self,
        plan: Plan,
        *,
        scrub: Callable[[str], str],
        freshness: Mapping[str, Freshness],
        execution: Execution | None = None,
        rows: int | None = None,
        expected: Cost | None = None,
    ) -> None:
        self.columns = plan.columns
        self.expected = expected
        self._plan = plan
        self._scrub = scrub
        self._freshness = freshness
        self._stats = execution.stats() if execution is not None else {}
        self._filtered = execution.filtered if execution is not None else {}
        self._requests = {fragment.name: _requests(fragment) for fragment in plan.fragments}
        self._rows = rows

    def to_json(self) -> dict[str, Any]:
        """The plan as plain data; docs/explain.md describes it."""
        plan = self._plan
        return {
            "columns": [{"name": name, "type": type_} for name, type_ in plan.columns],
            "local_query": plan.sql and self._scrub(plan.sql),
            "notes": [self._note(note) for note in plan.notes],
            "stages": [{"name": stage.name, "query": self._scrub(stage.sql())} for stage in plan.stages],
            "local_scans": [{"source": scan.source.name, "table": scan.table.name} for scan in plan.local_scans],
            "fragments": [self._fragment(fragment) for fragment in plan.fragments],
            "rows": self._rows,
        }

    def text(self) -> str:
        """The plan as a tree for people."""
        data = self.to_json()
        lines = [self._root(data)]
        lines += [f"  {line}" for line in _notes(data["notes"])]
        for stage in data["stages"]:
            lines.append(f"  Stage {stage['name']}: {stage['query']}")
        for scan in data["local_scans"]:
            lines.append(f"  -> LocalScan {scan['source']}.{scan['table']} (DuckDB reads it, with its own pushdown)")
        for fragment in data["fragments"]:
            lines += [f"  {line}" for line in _fragment_lines(fragment)]
        return "\n".join(lines)

    def _root(self, data: dict[str, Any]) -> str:
        rows = "" if self._rows is None else f" (rows={self._rows})"
        if data["local_query"] is None:
            return f"Result: as the source sends it{rows}"
        pretty = sqlglot.parse_one(data["local_query"], read="duckdb").sql("duckdb", pretty=True)
        indented = "\n".join(f"    {line}" for line in pretty.splitlines())
        return f"LocalQuery in DuckDB{rows}\n{indented}"

    def _fragment(self, fragment: Fragment) -> dict[str, Any]:
        made: dict[str, Any] = {
            "name": fragment.name,
            "kind": type(fragment).__name__,
            "source": fragment.source.name,
            "requests": [self._scrub(each) for each in self._requests[fragment.name]],
            "columns": fragment.schema.names,
            "notes": [self._note(note) for note in fragment.notes],
            "runtime_filters": [self._filter(fragment, each) for each in fragment.runtime_filters],
            "expected": _expected(fragment.expected),
            "freshness": _freshness(self._freshness.get(fragment.name), self._scrub),
        }
        if isinstance(fragment, TableScan):
            made["table"] = fragment.table.name
            made["limit"] = fragment.limit
        stats = self._stats.get(fragment.name)
        if stats is not None:
            made["actual"] = _actual(stats)
        return made

    def _filter(self, fragment: Fragment, each: RuntimeFilter) -> dict[str, Any]:
        return {
            "column": ", ".join((each.column, *each.others)),
            "stage": each.keys.stage,
            "keys": each.keys.sql(),
            "made": self._filtered.get(fragment.name, {}).get(each),
        }

    def _note(self, note: Note) -> dict[str, str]:
        return {
            "text": self._scrub(note.text),
            "where": note.where,
            "reason": str(note.reason),
            "detail": self._scrub(note.detail),
        }


def _requests(fragment: Fragment) -> list[str]:
    return [partition.request for partition in fragment.scan.partitions] if fragment.scan is not None else []


def _expected(cost: Cost) -> dict[str, Any] | None:
    if cost.rows is None:
        return None
    return {"rows": cost.rows, "bytes": cost.bytes, "seconds": cost.seconds}


def _freshness(found: Freshness | None, scrub: Callable[[str], str]) -> dict[str, str | None] | None:
    if found is None:
        return None
    query = scrub(found.query) if found.query else None
    return {"state": str(found.state), "as_of": written(found.as_of), "query": query}


def _actual(stats: FetchStats) -> dict[str, Any]:
    return {
        "rows": stats.rows,
        "bytes": stats.bytes,
        "requests": stats.requests,
        "first_batch_seconds": stats.first_batch,
        "seconds": stats.seconds,
    }


def _notes(notes: list[dict[str, str]]) -> list[str]:
    lines = []
    for note in notes:
        detail = f" ({note['detail']})" if note["detail"] else ""
        lines.append(f"{note['where']:>9}: {note['text']} [{note['reason']}]{detail}")
    return lines


def _shortened(request: str) -> str:
    """The keys of a runtime filter may be many."""
    return request if len(request) <= SHOWN else f"{request[:SHOWN]}… ({len(request)} characters)"


def _fragment_lines(fragment: dict[str, Any]) -> list[str]:
    what = f" {fragment['table']}" if "table" in fragment else ""
    expected, actual = fragment["expected"], fragment.get("actual")
    cost = " (expected rows={rows:.0f} bytes={bytes:.0f} {seconds:.3f} s)".format(**expected) if expected else ""
    cost += " (rows={rows} bytes={bytes} requests={requests} {seconds:.3f} s)".format(**actual) if actual else ""
    if fragment["freshness"] is not None and fragment["freshness"]["state"] != State.LIVE:
        cost += " (cached: {state}, as of {as_of})".format(**fragment["freshness"])
    lines = [f"-> {fragment['name']}: {fragment['kind']} on {fragment['source']}{what}{cost}"]
    if fragment["freshness"] is not None and fragment["freshness"]["query"] is not None:
        lines.append(f"     from the cache: {fragment['freshness']['query']}")
    for each in fragment["runtime_filters"]:
        made = f": {each['made']}" if each["made"] else ""
        column = f"({each['column']})" if "," in each["column"] else each["column"]
        lines.append(f"     RuntimeFilter: {column} IN ({each['keys']}){made}")
    if fragment.get("limit") is not None:
        lines.append(f"     limit: {fragment['limit']}")
    requests = fragment["requests"]
    if requests:
        lines.append(f"     sent: {_shortened(requests[0])}")
    if len(requests) > 1:
        lines.append(f"     and {len(requests) - 1} more partitions of it")
    return lines + [f"     {line}" for line in _notes(fragment["notes"])]
