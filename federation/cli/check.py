"""`federation check`."""

from __future__ import annotations

import argparse
import threading

from catalog.catalog import Catalog
from catalog.model import View
from catalog.roles import Policy
from federation.cli.table import printable
from federation.engine import Engine
from federation.location import catalog_path
from federation.refreshing import check_pinned


class Describer:
    """Describes views and fits policies to their tables with one engine, made when it is first needed."""

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._lock = threading.Lock()

    def view(self, catalog: Catalog, view: View) -> object:
        engine = self._engine_of(catalog)
        for pinned in engine.pins:
            if pinned.parts == (view.schema, view.name):
                check_pinned(engine, pinned)
        return engine.describe(view.sql)

    def policy(self, catalog: Catalog, policy: Policy) -> None:
        self._engine_of(catalog).check_policy(policy)

    def _engine_of(self, catalog: Catalog) -> Engine:
        with self._lock:
            self._engine = self._engine or Engine(catalog)
            return self._engine

    def close(self) -> None:
        if self._engine is not None:
            self._engine.close()


def check(args: argparse.Namespace) -> int:
    """Exit code 1 with any fault; every one is printed."""
    from federation.check import check as check_catalog

    describer = Describer()
    try:
        findings = check_catalog(catalog_path(args.catalog), describer.view, describer.policy)
    finally:
        describer.close()
    for finding in findings:
        verdict = "ok" if finding.ok else "FAULT"
        print(f"{verdict:<6}{finding.kind:<7} {printable(finding.name)}: {printable(finding.message)}")
        if finding.hint:
            print(f"{'':<14}HINT: {printable(finding.hint)}")
    faults = sum(not finding.ok for finding in findings)
    print(f"{faults} fault{'' if faults == 1 else 's'} found" if faults else "no fault found")
    return 1 if faults else 0
