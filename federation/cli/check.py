"""`federation check`."""

from __future__ import annotations

import argparse

from federation.cli.table import printable
from federation.location import catalog_path


def check(args: argparse.Namespace) -> int:
    """Exit code 1 with any fault; every one is printed."""
    from federation.check import check as check_catalog

    findings = check_catalog(catalog_path(args.catalog))
    for finding in findings:
        verdict = "ok" if finding.ok else "FAULT"
        print(f"{verdict:<6}{finding.kind:<7} {printable(finding.name)}: {printable(finding.message)}")
        if finding.hint:
            print(f"{'':<14}HINT: {printable(finding.hint)}")
    faults = sum(not finding.ok for finding in findings)
    print(f"{faults} fault{'' if faults == 1 else 's'} found" if faults else "no fault found")
    return 1 if faults else 0
