"""`federation serve`."""

from __future__ import annotations

import argparse

from adapters.errors import MissingDriver
from federation.location import catalog_path


def serve(args: argparse.Namespace) -> int:
    """Until SIGTERM or Ctrl-C."""
    try:
        from federation.http.config import ServerConfig
        from federation.http.lifecycle import serve as serve_http
        from federation.http.state import state_folder
    except ModuleNotFoundError as exc:
        raise MissingDriver(f"the server needs {exc.name}", hint='pip install "federation[server]"') from exc

    catalog = catalog_path(args.catalog)
    serve_http(
        ServerConfig(
            catalog,
            state_folder(catalog, args.state),
            host=args.host,
            port=args.http_port,
            pg_port=args.pg_port,
            max_connections=args.max_connections,
            certificate=args.tls_cert,
            key=args.tls_key,
            max_queries=args.max_queries,
            drain=args.drain,
            result_ttl=args.result_ttl,
        )
    )
    return 0
