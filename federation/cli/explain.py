"""`federation explain`."""

from __future__ import annotations

import argparse
import json

from federation.cli.options import read_sql
from federation.cli.run import Statement, explained, planning
from federation.location import catalog_path


def explain(args: argparse.Namespace) -> int:
    from federation.engine import Engine

    args.sql = read_sql(args.sql)
    statement = Statement(args.sql, dict(args.param) or None, options=planning(args))
    engine = Engine.open(catalog_path(args.catalog))
    try:
        explanation = explained(engine, statement, args.analyze)
    finally:
        engine.close()
    if args.format == "json":
        print(json.dumps(explanation.to_json(), indent=2, ensure_ascii=False))
    else:
        print(explanation.text().rstrip("\n"))
    return 0
