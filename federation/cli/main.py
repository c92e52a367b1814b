"""The command `federation`: arguments, exit codes and errors.

Exit codes: 0, 1 for an error, 2 for wrong usage, 130 after Ctrl-C (143 after SIGTERM), 141 when the reader of the
output went away. The modules of a command are loaded when it runs, so that `--help` is quick.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TypeAlias

from adapters.errors import MissingDriver
from federation.cli.errors import describe
from federation.cli.formats import BINARY_FORMATS, FORMATS
from federation.cli.options import count, duration, parameter, port, staleness
from federation.extras import needed
from federation.planner.optimizations import Optimization

FAILED, USAGE, INTERRUPTED, BROKEN_PIPE = 1, 2, 130, 141
_OF_DUCKDB = "Query interrupted"  # all that DuckDB leaves of a KeyboardInterrupt that comes while it works
PARAM_HELP = "the text for $NAME in the statement; it takes the type of its place, as a quoted literal does"
DISABLE_HELP = "plan without an optimization, any number of times; docs/explain.md lists them"
DRAIN_HELP = "after SIGTERM, let queries run this long (default: 30s)"
STALENESS_HELP = "take no rows from the cache that are older than this: 0, 30s, 5m"
CONNECTIONS_HELP = "of PostgreSQL's protocol at once (default: 500)"
RESULT_HELP = "keep the results of statements this long (default: 1d)"


Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def main(argv: Sequence[str] | None = None) -> int:
    parser = make_parser()
    args = parser.parse_args(argv)
    if args.command == "query" and args.format in BINARY_FORMATS and args.output is None and sys.stdout.isatty():
        parser.error(f"{args.format} is not for a terminal: name a file with -o FILE, or redirect the output")
    try:
        return run_command(args)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Python would complain once more when it flushes standard output at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE


def run_command(args: argparse.Namespace) -> int:
    try:
        with needed("this command", "server" if args.command == "serve" else "engine"):
            from federation.without_pandas import leave_pandas_out

            leave_pandas_out()
            from federation.cli.run import Interrupted
    except MissingDriver as exc:
        print(describe(exc), file=sys.stderr)
        return FAILED
    try:
        command = getattr(import_module(f"federation.cli.{args.command}"), args.command)
        code: int = command(args)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        raise
    except Interrupted as stop:
        error, code = stop.error, 128 + stop.signum
    except Exception as exc:
        if isinstance(exc, RuntimeError) and str(exc) == _OF_DUCKDB:
            raise KeyboardInterrupt from None
        error, code = exc, FAILED
    print(describe(error, getattr(args, "sql", None)), file=sys.stderr)
    return code


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="federation", description="One SQL query over many systems, where they are.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    catalog = argparse.ArgumentParser(add_help=False)
    catalog.add_argument(
        *("-c", "--catalog"),
        metavar="FILE",
        type=Path,
        help="the catalog file, or a folder of them (default: $FEDERATION_CATALOG, else ./federation.toml)",
    )
    state = argparse.ArgumentParser(add_help=False, parents=[catalog])
    state.add_argument("--state", metavar="FOLDER", type=Path, help="where tokens and results are kept")
    statement = argparse.ArgumentParser(add_help=False, parents=[catalog])
    statement.add_argument("sql", nargs="?", metavar="SQL", help="the statement; standard input without one, or for -")
    statement.add_argument(
        "--param", action="append", default=[], type=parameter, metavar="NAME=VALUE", help=PARAM_HELP
    )
    statement.add_argument(
        "--disable",
        action="append",
        default=[],
        choices=[str(each) for each in Optimization],
        metavar="NAME",
        help=DISABLE_HELP,
    )

    statement.add_argument("--max-staleness", type=staleness, metavar="TIME", help=STALENESS_HELP)
    statement.add_argument("--no-cache", action="store_true", help="neither read the cache nor keep anything there")

    query = commands.add_parser("query", parents=[statement], help="run a query and print its rows")
    query.add_argument("-f", "--format", choices=FORMATS, default="table", help="default: table")
    query.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="write a file, which appears only when complete"
    )
    query.add_argument("--timeout", type=duration, metavar="TIME", help="end the query after this time: 30s, 5m, 1h")

    explain = commands.add_parser("explain", parents=[statement], help="show what runs where, and why")
    explain.add_argument("--analyze", action="store_true", help="run the query, and show actual rows, bytes and times")
    explain.add_argument("-f", "--format", choices=("text", "json"), default="text", help="default: text")

    commands.add_parser("check", parents=[catalog], help="validate the catalog file and reach every source")
    discover = commands.add_parser("discover", help="write the catalog file for a live source")
    discover.add_argument("--name", metavar="NAME", help="the name of the source (default: taken from the URI)")
    discover.add_argument("uri", metavar="URI", help="such as postgresql://user@host/db, or the path of files")
    serve = commands.add_parser("serve", parents=[state], help="answer SQL over HTTP and PostgreSQL's protocol")
    serve.add_argument("--host", metavar="ADDRESS", default="127.0.0.1", help="default: 127.0.0.1")
    serve.add_argument("--http-port", metavar="PORT", type=port, default=8470, help="default: 8470")
    serve.add_argument("--pg-port", metavar="PORT", type=port, default=5433, help="PostgreSQL's (default: 5433)")
    serve.add_argument("--no-pg", dest="pg_port", action="store_const", const=None, help="HTTP alone")
    serve.add_argument("--tls-cert", metavar="FILE", type=Path, help="the certificate chain, in PEM")
    serve.add_argument("--tls-key", metavar="FILE", type=Path, help="its private key, in PEM")
    serve.add_argument("--workers", metavar="N", type=count, default=1, help="processes that serve (default: 1)")
    serve.add_argument("--max-queries", metavar="N", type=count, default=256, help="open at once (default: 256)")
    serve.add_argument("--max-connections", metavar="N", type=count, default=500, help=CONNECTIONS_HELP)
    serve.add_argument("--drain", metavar="TIME", type=duration, default=30.0, help=DRAIN_HELP)
    serve.add_argument("--result-ttl", metavar="TIME", type=duration, default=86_400.0, help=RESULT_HELP)

    _add_tokens(commands, state)
    _add_cache(commands, catalog)
    commands.add_parser("password", help="read a password, and print what the catalog file keeps of it")
    commands.add_parser("shell", parents=[catalog], help="an interactive prompt")
    return parser


def _add_tokens(commands: Commands, state: argparse.ArgumentParser) -> None:
    token = commands.add_parser("token", help="API tokens of the server: create, list, revoke")
    actions = token.add_subparsers(dest="action", required=True, metavar="ACTION")
    create = actions.add_parser("create", parents=[state], help="make a token, and print it this once")
    create.add_argument("name", metavar="NAME", help="who or what it is for")
    create.add_argument("--user", metavar="USER", help="a user of the catalog file, for whom it acts")
    create.add_argument("--expires", metavar="TIME", type=duration, help="valid for this time: 12h, 90d")
    actions.add_parser("list", parents=[state], help="show names and dates")
    revoke = actions.add_parser("revoke", parents=[state], help="refuse a token from now on")
    revoke.add_argument("name", metavar="NAME")


def _add_cache(commands: Commands, catalog: argparse.ArgumentParser) -> None:
    cache = commands.add_parser("cache", parents=[catalog], help="list what the cache has, or invalidate some of it")
    cache.add_argument("-f", "--format", choices=FORMATS, default="table", help="default: table")
    actions = cache.add_subparsers(dest="action", metavar="ACTION")
    invalidate = actions.add_parser("invalidate", help="give nothing any more that was fetched until now")
    # Without a default, which would take the place of what stands before the action.
    invalidate.add_argument("-c", "--catalog", metavar="FILE", type=Path, default=argparse.SUPPRESS)
    invalidate.add_argument("name", nargs="+", metavar="NAME", help="a source, a table, a view, or tag:TAG")
