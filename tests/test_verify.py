"""Shadow mode: adapters that lie are found out and no longer trusted; honest ones never are."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from adapters.base import CancelToken, Partition, Predicate, Scan, ScanRequest
from adapters.memory import MemoryAdapter
from catalog.catalog import Catalog
from catalog.model import Settings, Source
from catalog.secrets import Redactor
from federation import verify
from federation.engine import Engine
from federation.planner.optimizations import ALL, Optimization
from tests.corpora.layouts import federated
from tests.corpora.random_data import LAYOUTS, tables
from tests.corpora.random_sql import draw, indexes_of
from tests.servers import Server

ROWS = pa.table({"id": list(range(100)), "kind": [f"k{i % 7}" for i in range(100)]})
OTHER = pa.table({"kind": [f"k{i}" for i in range(5)], "name": list("abcde")})
WRONG = "SELECT count(*) AS n FROM mem.numbers WHERE id > 90"


class Liar(MemoryAdapter):
    """Says that it tests `> x`, and tests `> x + 1`; a LIMIT may cost it a row."""

    lies_with_limits = False

    def plan_scan(self, request: ScanRequest) -> Scan:
        predicates = tuple(map(_stricter, request.predicates))
        limit = request.limit - 1 if request.limit and self.lies_with_limits else request.limit
        return super().plan_scan(replace(request, predicates=predicates, limit=limit))


def _stricter(predicate: Predicate) -> Predicate:
    asked = predicate.op == ">" and isinstance(predicate.values[0], int)
    return replace(predicate, values=(predicate.values[0] + 1,)) if asked else predicate


class Gated(MemoryAdapter):
    """Whole tables, as only a verification asks for them, come when the gate opens or the read is cancelled."""

    gate: threading.Event
    reached: threading.Event

    def read(self, partition: Partition, cancel: CancelToken) -> pa.RecordBatchReader:
        if not partition.payload[0].predicates:
            self.reached.set()
            stop = cancel.register(self.gate.set)
            self.gate.wait()
            stop()
            cancel.check()
        return super().read(partition, cancel)


def engine_of(*adapters: MemoryAdapter, share: float = 1.0, secrets: Mapping[str, str] | None = None) -> Engine:
    redactor = Redactor()
    redactor.add_options(dict(secrets or {}))
    sources = [Source(adapter.name, "memory", adapter) for adapter in adapters]
    return Engine(Catalog(sources, settings=Settings(verify_sample=share), redactor=redactor))


def ask(engine: Engine, sql: str, **more: Any) -> list[tuple[Any, ...]]:
    with engine.query(sql, **more) as result:
        return [tuple(row.values()) for row in result.read_all().to_pylist()]


@pytest.fixture
def lying() -> Iterator[Engine]:
    with engine_of(
        Liar("mem", {"tables": {"numbers": ROWS}}), MemoryAdapter("good", {"tables": {"kinds": OTHER}})
    ) as it:
        yield it


def test_a_lie_is_found_and_given_up(lying: Engine, caplog: pytest.LogCaptureFixture) -> None:
    assert ask(lying, WRONG) == [(8,)]
    lying.verifier.wait()
    assert lying.verifier.counts == {"differed": 1}
    [found] = lying.verifier.quarantined
    assert (found.source, found.optimizations) == ("mem", frozenset({Optimization.FILTER_PUSHDOWN}))
    assert ask(lying, WRONG) == [(9,)]
    lying.verifier.wait()
    assert lying.verifier.counts == {"differed": 1, "agreed": 1}
    [record] = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert record.name == "federation.verify"
    assert "filter_pushdown of mem" in record.getMessage() and "TableScan on mem" in record.getMessage()


def test_explain_says_it(lying: Engine) -> None:
    ask(lying, WRONG)
    lying.verifier.wait()
    [note] = [each for each in lying.explain(WRONG).to_json()["notes"] if each["reason"] == "QUARANTINED"]
    assert note["text"] == "filter_pushdown of mem"
    assert "QUARANTINED" not in lying.explain("SELECT * FROM good.kinds WHERE kind = 'k1'").text()


def test_only_the_lying_source_is_given_up(lying: Engine) -> None:
    joined = """
        SELECT n.id, k.name FROM mem.numbers AS n JOIN good.kinds AS k ON k.kind = n.kind
        WHERE n.id > 90 AND k.name < 'z' ORDER BY 1, 2"""
    wrong = ask(lying, joined)
    lying.verifier.wait()
    assert lying.verifier.quarantine() == {"mem": {Optimization.FILTER_PUSHDOWN}}
    assert len(ask(lying, joined)) > len(wrong)
    assert "k.name" not in str(lying.explain(joined).to_json()["notes"])


def test_a_lie_about_limits() -> None:
    liar = Liar("mem", {"tables": {"numbers": ROWS}})
    liar.lies_with_limits = True
    with engine_of(liar) as engine:
        assert len(ask(engine, "SELECT * FROM mem.numbers LIMIT 5")) == 4
        engine.verifier.wait()
        assert engine.verifier.quarantine() == {"mem": {Optimization.LIMIT_PUSHDOWN}}
        assert len(ask(engine, "SELECT * FROM mem.numbers LIMIT 5")) == 5


def test_what_no_single_optimisation_heals(lying: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    heals = verify.Verifier._heals
    monkeypatch.setattr(verify.Verifier, "_heals", lambda *args: ALL in args[-1].values() and heals(*args))
    ask(lying, WRONG)
    lying.verifier.wait()
    assert lying.verifier.quarantine() == {"mem": ALL}
    assert ask(lying, WRONG) == [(9,)]


def test_no_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with engine_of(Liar("mem", {"tables": {"numbers": ROWS}}), secrets={"password": "hush-hush"}) as engine:
        ask(engine, "SELECT id FROM mem.numbers WHERE id > 90 AND kind <> 'hush-hush'")
        engine.verifier.wait()
        assert engine.verifier.counts["differed"] == 1
    assert "gave a wrong answer" in caplog.text and "hush-hush" not in caplog.text


def test_data_that_change_are_not_blamed() -> None:
    data = {"numbers": ROWS}
    with engine_of(MemoryAdapter("mem", {"tables": data})) as engine:
        with engine.query(WRONG) as result:
            batches = result.batches()
            next(batches)
            data["numbers"] = pa.concat_tables([ROWS, ROWS])
            assert not list(batches)
        engine.verifier.wait()
        assert engine.verifier.counts == {"changed": 1}
        assert not engine.verifier.quarantined


@pytest.mark.parametrize(
    ("sql", "outcome"),
    [
        ("SELECT id, random() FROM mem.numbers WHERE id > 90", {"unstable": 1}),
        ("SELECT id FROM mem.numbers WHERE id > 90 AND now() > DATE '2020-01-01'", {"unstable": 1}),
        ("SELECT a.id FROM mem.numbers AS a CROSS JOIN mem.numbers AS b CROSS JOIN mem.numbers AS c", {"large": 1}),
        ("SELECT 1", {}),
    ],
)
def test_what_is_not_compared(sql: str, outcome: dict[str, int]) -> None:
    with engine_of(MemoryAdapter("mem", {"tables": {"numbers": ROWS}})) as engine:
        ask(engine, sql)
        engine.verifier.wait()
        assert engine.verifier.counts == outcome


def test_a_run_that_fetches_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "MOST_FETCHED", 0)
    monkeypatch.setattr(verify, "WATCH_EVERY", 0.001)
    many = pa.table({"id": list(range(300_000))})
    with engine_of(MemoryAdapter("mem", {"tables": {"numbers": many}})) as engine:
        ask(
            engine, "SELECT a.id % 2 AS odd, count(*) FROM mem.numbers AS a JOIN mem.numbers AS b USING (id) GROUP BY 1"
        )
        engine.verifier.wait()
        assert engine.verifier.counts == {"large": 1}


def test_without_a_share_there_is_no_thread() -> None:
    with engine_of(Liar("mem", {"tables": {"numbers": ROWS}}), share=0.0) as engine:
        ask(engine, WRONG)
        engine.verifier.wait()
        assert not engine.verifier.counts
    assert not [thread for thread in threading.enumerate() if thread.name == "verify"]


@pytest.mark.parametrize("options", [{"pushdown": False}, {"disable": ["filter_pushdown"]}])
def test_what_runs_without_the_lie(options: dict[str, Any]) -> None:
    with engine_of(Liar("mem", {"tables": {"numbers": ROWS}})) as engine:
        assert ask(engine, WRONG, options=options) == [(9,)]
        engine.verifier.wait()
        assert not engine.verifier.quarantined


def test_an_unread_result_is_no_sample(lying: Engine) -> None:
    with lying.query("SELECT id FROM mem.numbers WHERE id > 90") as result:
        next(result.batches())
    lying.verifier.wait()
    assert not lying.verifier.counts


def gated() -> Gated:
    adapter = Gated("mem", {"tables": {"numbers": ROWS}})
    adapter.gate, adapter.reached = threading.Event(), threading.Event()
    return adapter


def test_a_full_queue_drops_and_never_waits() -> None:
    adapter = gated()
    with engine_of(adapter) as engine:
        assert ask(engine, WRONG) == [(9,)]
        adapter.reached.wait()
        for _ in range(verify.QUEUE + 3):
            assert ask(engine, WRONG) == [(9,)]
        assert engine.verifier.counts == {"dropped": 3}
        adapter.gate.set()
        engine.verifier.wait()
        assert engine.verifier.counts == {"dropped": 3, "agreed": verify.QUEUE + 1}


def test_close_ends_a_verification() -> None:
    adapter = gated()
    engine = engine_of(adapter)
    for _ in range(verify.QUEUE):
        ask(engine, WRONG)
    adapter.reached.wait()
    engine.close()
    assert not engine.verifier.counts and not engine.verifier.quarantined
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("verify")]
    engine.close()


def test_a_verification_that_fails_is_no_failure_of_the_query() -> None:
    class Failing(MemoryAdapter):
        def read(self, partition: Partition, cancel: CancelToken) -> pa.RecordBatchReader:
            if not partition.payload[0].predicates:
                raise ZeroDivisionError
            return super().read(partition, cancel)

    with engine_of(Failing("mem", {"tables": {"numbers": ROWS}})) as engine:
        for _ in range(2):
            assert ask(engine, WRONG) == [(9,)]
        engine.verifier.wait()
        assert engine.verifier.counts == {"failed": 2}


@pytest.mark.parametrize(
    ("layout", "queries"),
    [("spread-1", 700), *(pytest.param(layout, 6000, marks=pytest.mark.slow) for layout in LAYOUTS)],
)
def test_honest_sources_are_never_blamed(
    layout: str, queries: int, tmp_path: Path, postgres_server: Server, mariadb_server: Server
) -> None:
    settings = "[settings]\nverify_sample = 1\n"
    with federated(LAYOUTS[layout], tables(), tmp_path, postgres_server, mariadb_server, settings) as opened:
        verifier = opened.engine.verifier
        for index in indexes_of(layout, queries):
            ask(opened.engine, draw(11, index, opened.plain)[0].sql)
            verifier.wait()
        assert not verifier.quarantined
        assert verifier.counts["agreed"] > verifier.counts.total() / 2
