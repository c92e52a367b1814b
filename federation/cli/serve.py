"""`federation serve`."""

from __future__ import annotations

import argparse

from federation.extras import needed
from federation.location import catalog_path


def serve(args: argparse.Namespace) -> int:
    """Until SIGTERM or Ctrl-C."""
    with needed("the server", "server"):
        from federation.http.config import ServerConfig
        from federation.http.state import state_folder

        if args.workers == 1:
            from federation.http.lifecycle import serve as serve_http
        else:
            from federation.http.supervisor import serve as serve_http

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
            workers=args.workers,
            max_queries=args.max_queries,
            drain=args.drain,
            result_ttl=args.result_ttl,
        )
    )
    return 0
