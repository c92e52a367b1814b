"""TPC-H over one, two and four sources: Federation beside other systems, on a fast and on a slow link.

    python -m benchmarks.tpch [--layout one] [--link lan] [--peers duckdb] [--queries 1,6] [--repeat 3] [-o FOLDER]

Writes results.json, report.md and chart.svg into FOLDER. What results.json has already is not run again, unless
--again names the system.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from pathlib import Path

from benchmarks.environment import DUCKDB, WORK, peers_python
from benchmarks.tpch import report
from benchmarks.tpch.data import prepare
from benchmarks.tpch.layouts import KINDS, LAYOUTS
from benchmarks.tpch.link import SPEEDS, Link
from benchmarks.tpch.lookup import measure_lookup
from benchmarks.tpch.measure import Place, explain, measure
from benchmarks.tpch.results import Results, Run
from benchmarks.tpch.servers import Servers
from tests.corpora import tpch

PEERS = ("duckdb", "postgres", "postgres_fdw")
ONE_SERVER = ("postgres", "postgres_fdw")  # nothing but PostgreSQL can be asked: layout one alone
LIMITS = {"lan": 120.0, "slow": 600.0}  # seconds for one query
CUSTOMERS = 150_000  # at scale 1


def main() -> None:
    options = _options()
    data = WORK / f"scale-{options.scale:g}"
    prepare(data, options.scale)
    results = Results(options.output / "results.json", _facts(options.scale))
    results.forget(lambda run: run.system in options.again and _chosen(run, options))
    servers = Servers(data)
    try:
        for layout in options.layout:
            _run_layout(layout, servers, data, results, options)
    finally:
        servers.stop()
    if options.explain:
        return
    _write(results, options.output)
    print((options.output / "report.md").read_text())


def _run_layout(layout: str, servers: Servers, data: Path, results: Results, options: argparse.Namespace) -> None:
    uris = servers.uris(layout, LAYOUTS[layout])
    ours = ("federation", "federation_cached") if options.cached else ("federation",)
    systems = [each for each in (*ours, *options.peers) if layout == "one" or each not in ONE_SERVER]
    mediator = servers.get("b").create_database("mediator") if "postgres_fdw" in systems else None
    for link_name in options.link:
        with Link(uris, SPEEDS[link_name]) as link:
            place = Place(layout, link_name, link, data, options.limit or LIMITS[link_name], mediator)
            if options.explain:
                _explain(place, options)
                continue
            for query, number, system in _order(options, systems):
                if not results.has(layout, link_name, system, query, number):
                    run = measure(place, system, query, number)
                    results.add(run)
                    print(_line(run), flush=True)
    if options.lookup:
        source = next(source for source, tables in LAYOUTS[layout].items() if "customer" in tables)
        task = {"tables": {source: ("customer",)}, "kinds": KINDS, "uris": uris, "paths": {}}
        times = measure_lookup(task, source, int(CUSTOMERS * options.scale))
        results.note("lookups", {**results.facts.get("lookups", {}), f"{layout}, direct": times})


def _explain(place: Place, options: argparse.Namespace) -> None:
    folder = options.output / "explain"
    folder.mkdir(parents=True, exist_ok=True)
    for query in options.queries:
        (folder / f"{place.layout}-{place.link_name}-{query}.txt").write_text(explain(place, query))


def _order(options: argparse.Namespace, systems: list[str]) -> Iterator[tuple[str, int, str]]:
    """The systems take turns, so that what else the machine does meets all of them."""
    for query in options.queries:
        for number in range(options.repeat):
            for system in systems:
                yield query, number, system


def _chosen(run: Run, options: argparse.Namespace) -> bool:
    return run.layout in options.layout and run.link in options.link and run.query in options.queries


def _line(run: Run) -> str:
    moved, note = (run.sent + run.received) / 1e6, run.message.splitlines()[0] if run.message else ""
    place = f"{run.layout:5} {run.link:5} {run.query} {run.system:13}"
    return f"{place} {run.status:8} {run.seconds:8.3f} s {moved:10.3f} MB  {note}"


def _facts(scale: float) -> dict[str, object]:
    ours = {"DuckDB of Federation": version("duckdb"), "DuckDB of the extensions": DUCKDB}
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}"
    return {"scale": scale, "machine": machine, **ours}


def _write(results: Results, folder: Path) -> None:
    (folder / "report.md").write_text(report.markdown(results))
    panels: dict[str, dict[str, dict[str, float]]] = {}
    for layout, link in results.places():
        panels[f"layout {layout}, link {link}"] = {
            report.NAMES[system]: {
                query: summary.seconds
                for query, summary in results.summaries(layout, link, system).items()
                if summary.status in ("ok", "timeout")
            }
            for system in results.systems(layout, link)
        }
    with tempfile.TemporaryDirectory() as temporary:
        data = Path(temporary) / "chart.json"
        data.write_text(json.dumps(panels))
        script = Path(__file__).with_name("chart.py")
        subprocess.run([peers_python(), str(script), str(data), str(folder / "chart.svg")], check=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tpch", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--layout", type=_several(LAYOUTS), default="all", help="one, two, four or all")
    parser.add_argument("--link", type=_several(SPEEDS), default="lan", help="lan, slow or all")
    parser.add_argument("--peers", type=_several(PEERS), default="all", help="names, separated by commas, all or none")
    parser.add_argument("--queries", type=_queries, default="all", help="numbers, separated by commas, or all")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--limit", type=float, help="seconds for one query; 120 on lan, 600 on slow unless given")
    parser.add_argument("--cached", action="store_true", help="measure the second run of each query with a cache, too")
    parser.add_argument(
        "--again", type=_several(("federation", "federation_cached", *PEERS)), default="none", help="measure these anew"
    )
    parser.add_argument("--lookup", action="store_true", help="measure what planning adds to a point lookup as well")
    parser.add_argument("--explain", action="store_true", help="run EXPLAIN ANALYZE instead, into FOLDER/explain")
    parser.add_argument("-o", "--output", type=Path, default=WORK / "results")
    return parser.parse_args()


def _several(names: Iterable[str]) -> Callable[[str], list[str]]:
    """An option that takes some of the names, `all` or `none`."""
    known = list(names)

    def read(text: str) -> list[str]:
        chosen = {"all": known, "none": []}.get(text, text.split(","))
        if unknown := [each for each in chosen if each not in known]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: there are {', '.join(known)}")
        return chosen

    return read


def _queries(text: str) -> list[str]:
    names = list(tpch.QUERIES) if text == "all" else [f"q{int(each):02}" for each in text.split(",")]
    if unknown := [each for each in names if each not in tpch.QUERIES]:
        raise argparse.ArgumentTypeError(f"no query {', '.join(unknown)}")
    return names


if __name__ == "__main__":
    main()
