"""A small strict CRM: the API that `federation.toml` declares, served from crm.json.

    GET /v1/accounts?limit=100&cursor=…      every account, by pages
    GET /v1/accounts?ids=70001,70002         at most 50 accounts by key
    GET /v1/accounts/70001                   one account
    GET /v1/owners?page=1                    owners
    GET /v1/contacts?account_id=70001,70002  contacts of at most 20 accounts; never all of them

A request without the token, or with a parameter that it does not know, is refused.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Rows = list[dict[str, Any]]
PAGE = 100


class Refused(Exception):
    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def keys(text: str, most: int) -> set[int]:
    parts = text.split(",")
    if len(parts) > most or not all(part.isdecimal() for part in parts):
        raise Refused(400, f"at most {most} whole numbers")
    return {int(part) for part in parts}


def by_cursor(rows: Rows, params: dict[str, str]) -> dict[str, Any]:
    limit, start = int(params.get("limit", PAGE)), int(params.get("cursor", 0))
    if not 1 <= limit <= PAGE:
        raise Refused(400, f"limit is at most {PAGE}")
    end = start + limit
    return {"data": rows[start:end], "next_cursor": str(end) if end < len(rows) else None, "more": end < len(rows)}


def accounts(crm: dict[str, Rows], params: dict[str, str]) -> dict[str, Any]:
    rows = crm["accounts"]
    if "ids" in params:
        wanted = keys(params["ids"], 50)
        rows = [row for row in rows if row["id"] in wanted]
    return by_cursor(rows, params)


def owners(crm: dict[str, Rows], params: dict[str, str]) -> dict[str, Any]:
    start = (int(params.get("page", 1)) - 1) * 5
    return {"data": crm["owners"][start : start + 5], "more": start + 5 < len(crm["owners"])}


def contacts(crm: dict[str, Rows], params: dict[str, str]) -> dict[str, Any]:
    if "account_id" not in params:
        raise Refused(400, "contacts are listed by account_id only")
    wanted = keys(params["account_id"], 20)
    return by_cursor([row for row in crm["contacts"] if row["account_id"] in wanted], params)


Resource = Callable[[dict[str, Rows], dict[str, str]], dict[str, Any]]
RESOURCES: dict[str, tuple[Resource, set[str]]] = {
    "/v1/accounts": (accounts, {"ids", "limit", "cursor"}),
    "/v1/owners": (owners, {"page"}),
    "/v1/contacts": (contacts, {"account_id", "limit", "cursor"}),
}


def answer(crm: dict[str, Rows], target: str) -> dict[str, Any]:
    parts = urlsplit(target)
    params = dict(parse_qsl(parts.query, keep_blank_values=True))
    collection, _, key = parts.path.rpartition("/")
    if collection == "/v1/accounts" and key.isdecimal():
        for row in crm["accounts"]:
            if row["id"] == int(key):
                return row
        raise Refused(404, "no such account")
    if parts.path not in RESOURCES:
        raise Refused(404, "no such resource")
    resource, known = RESOURCES[parts.path]
    if set(params) - known:
        raise Refused(400, f"unknown parameters: {', '.join(sorted(set(params) - known))}")
    try:
        return resource(crm, params)
    except ValueError as exc:
        raise Refused(400, "a number is needed") from exc


def make_server(crm: dict[str, Rows], token: str, port: int) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            try:
                if self.headers["Authorization"] != f"Bearer {token}":
                    raise Refused(401, "no valid token")
                status, body = 200, answer(crm, self.path)
            except Refused as exc:
                status, body = exc.status, {"error": str(exc)}
            data = json.dumps(body, ensure_ascii=False).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Quiet: the demo prints what was asked of the CRM in its plan."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    return server


def main() -> None:
    """Serve until the standard input ends, so that the server never outlives the program that started it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="the folder with crm.json")
    parser.add_argument("--port", type=int, default=0, help="a free one unless given")
    options = parser.parse_args()
    crm = json.loads((options.data / "crm.json").read_text(encoding="utf-8"))
    server = make_server(crm, os.environ["CRM_TOKEN"], options.port)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
