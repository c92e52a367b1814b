"""Requests to a server and what its answers mean, without I/O: the blocking and the asynchronous client share it."""

from __future__ import annotations

import json
import secrets
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from adapters.errors import Error, InterfaceError, QueryCancelled, QueryTimeout
from federation.client.address import Address
from federation.client.errors import NotAFederationServer, ServerUnavailable
from federation.client.problems import error_of
from federation.client.values import encode_parameters, to_json
from federation.progress import FragmentProgress, Freshness, State
from federation.staleness import ANY, Demand
from federation.statement import Document, Parameters

ARROW = "application/vnd.apache.arrow.stream"
PROBLEM = "application/problem+json"
QUERY_ID = "Federation-Query-Id"
CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 60.0  # for anything but a statement
LONGEST_TIMEOUT = 1e9  # of a socket: what is longer, or no time, the server refuses
GRACE_SECONDS = 5.0  # after a statement's timeout, for the server to say so itself
LONGEST_WAIT_SECONDS = 2.0  # until a server knows of a statement that was just sent, or of its end
POLL_SECONDS = 0.05
IDLE_SECONDS = 3.0  # servers close idle connections after 5: theirs must not be the first
MOST_PROBLEM_BYTES = 1 << 20
# A server that vanishes without a word is found out within about a minute, however long a query may take.
KEEPALIVE = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), seconds)
        for name, seconds in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
        if hasattr(socket, name)
    ),
]


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers` finds a name in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def common_headers(address: Address) -> dict[str, str]:
    """Of every request."""
    headers = {
        "Accept": "application/json",
        "Accept-Encoding": "identity",  # packing and unpacking takes longer than most networks
        "User-Agent": f"federation/{version('federation')}",
    }
    if address.authorization is not None:
        headers["Authorization"] = address.authorization
    return headers


def tls_context(address: Address) -> ssl.SSLContext | None:
    """Raises InterfaceError. Loading certificates takes longer than everything else, so only https does."""
    if not address.secure:
        return None
    try:
        return ssl.create_default_context(cafile=address.ca_file)
    except OSError as exc:
        raise InterfaceError(f"{address.ca_file} has no certificates: {exc}", hint="a file in PEM format") from exc


class Exchange:
    """One statement: what is asked, and whether it was cancelled here."""

    def __init__(self) -> None:
        self.query_id = secrets.token_hex(16)
        self.path = f"/v1/queries/{self.query_id}"
        self.headers = {"Content-Type": "application/json", "Accept": ARROW, QUERY_ID: self.query_id}
        self.cancelled = False
        self.wait: float | None = None  # how many seconds the next bytes of the answer may take
        self._timeout: float | None = None

    def body(self, sql: str, parameters: Parameters | None, timeout: float | None, demand: Demand) -> bytes:
        """Of the request. Raises ProgrammingError for values that SQL has no type for."""
        self._timeout = timeout
        body: dict[str, Any] = {"sql": sql, "params": encode_parameters(parameters)}
        if timeout is not None:
            body["timeout"] = timeout
            self.wait = timeout + GRACE_SECONDS if 0 < timeout <= LONGEST_TIMEOUT else None
        if demand != ANY:
            body |= demand.options()
        return to_json(body)

    def check(self) -> None:
        """Raises QueryCancelled after a cancel."""
        if self.cancelled:
            raise self.failed(QueryCancelled("the query was cancelled"))

    def late(self) -> Error | None:
        """What it means that nothing comes any more; None for a statement without a timeout."""
        if self._timeout is None:
            return None
        return self.failed(
            QueryTimeout(f"the server said nothing within {self._timeout:g} s", hint="raise the timeout")
        )

    def failed(self, error: Error) -> Error:
        error.query_id = error.query_id or self.query_id
        return error

    def broken(self, info: Document | None) -> Error:
        """Why an answer broke off, by what the server tells of the query; None if it cannot be asked."""
        if self.cancelled:
            return self.failed(QueryCancelled("the query was cancelled"))
        problem = (info or {}).get("error")
        if isinstance(problem, Mapping):
            return self.failed(error_of(problem, 0))
        return self.failed(
            ServerUnavailable("the answer broke off: its rows are not all there", hint="run the query again")
        )


def is_rows(status: int, headers: Mapping[str, str]) -> bool:
    return status == 200 and _media_type(headers) == ARROW


def failure(answer: Answer, address: Address) -> Error:
    """What an answer says that is not what was asked for."""
    status = answer.status
    if 300 <= status < 400 and "location" in answer.headers:
        where = urlsplit(answer.headers["location"])
        elsewhere = f"connect to {where.scheme}://{where.netloc.rpartition('@')[2]}" if where.netloc else None
        return NotAFederationServer(
            f"{address.url} redirects ({status}), which is not followed", hint=elsewhere or "check the address"
        )
    document = _document(answer.body) if _media_type(answer.headers) == PROBLEM else None
    if document is not None:
        return error_of(document, status)
    if status in (502, 503, 504):
        return ServerUnavailable(f"a proxy in front of {address.url} cannot reach the server ({status})")
    return NotAFederationServer(
        f"what answers at {address.url} is not a Federation server (status {status})", hint="check the address"
    )


def document(answer: Answer, address: Address) -> Document:
    """The JSON object of an answer. Raises what it says instead."""
    found = _document(answer.body) if answer.status == 200 else None
    if found is None:
        raise failure(answer, address)
    return found


def progress_of(info: Document) -> list[FragmentProgress]:
    return [FragmentProgress(each["source"], each["rows"], each["bytes"], each["done"]) for each in info["sources"]]


def freshness_of(info: Document) -> list[Freshness]:
    found = info["freshness"]
    return [
        Freshness(each["source"], State(each["state"]), datetime.fromisoformat(each["as_of"]).timestamp())
        for each in found
    ]


def check_overview(overview: Document, address: Address) -> None:
    """Raises NotAFederationServer for what another kind of server might say to `GET /v1/catalog`."""
    if not isinstance(overview.get("sources"), list):
        raise NotAFederationServer(
            f"what answers at {address.url} is not a Federation server", hint="check the address"
        )


def _media_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _document(body: bytes) -> Document | None:
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
