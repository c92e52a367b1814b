"""`federation serve`."""

from __future__ import annotations

import argparse
import ipaddress
from pathlib import Path

from adapters.errors import NotSupportedError
from federation.location import catalog_path


def serve(args: argparse.Namespace) -> int:
    from federation.http.config import ServerConfig
    from federation.http.lifecycle import serve as serve_http

    if not is_loopback(args.host):
        raise NotSupportedError(f"{args.host} can be reached by others, and nobody has to say who asks")
    serve_http(ServerConfig(catalog_path(args.catalog), Path(), args.host, args.http_port))
    return 0


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
