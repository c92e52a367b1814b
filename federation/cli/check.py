"""`federation check`."""

from __future__ import annotations

import argparse
import threading

from catalog.catalog import Catalog
from catalog.model import View
from federation.cli.table import printable
from federation.engine import Engine
from federation.location import catalog_path
from federation.refreshing import check_pinned


class Describer:
    """Describes views with one engine, made when the first view needs it."""

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._lock = threading.Lock()

    def __call__(self, catalog: Catalog, view: View) -> object:
        with self._lock:
            self._engine = self._engine or Engine(catalog)
        for pinned in self._engine.pins:
            if pinned.parts == (view.schema, view.name):
                check_pinned(self._engine, pinned)
        return self._engine.describe(view.sql)

    def close(self) -> None:
        if self._engine is not None:
            self._engine.close()


def check(args: argparse.Namespace) -> int:
    """Exit code 1 with any fault; every one is printed."""
    from federation.check import check as check_catalog

    describer = Describer()
    try:
        findings = check_catalog(catalog_path(args.catalog), describer)
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
