"""Requests to a server and what its answers mean, without I/O: the blocking and the asynchronous client share it."""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import ssl
from collections.abc import Iterator, Mapping
from datetime import datetime
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

import httpx

from adapters.errors import Error, InterfaceError, QueryCancelled, QueryTimeout
from federation.client.address import Address
from federation.client.errors import CertificateRefused, NotAFederationServer, ServerUnavailable
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


def client_options(address: Address) -> dict[str, Any]:
    """For httpx's clients. Redirects are not followed: they would take what proves who asks elsewhere."""
    headers = {
        "Accept": "application/json",
        "Accept-Encoding": "identity",  # packing and unpacking takes longer than most networks
        "User-Agent": f"federation/{version('federation')}",
    }
    if address.authorization is not None:
        headers["Authorization"] = address.authorization
    return {
        "base_url": address.url,
        "headers": headers,
        "timeout": httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS, pool=None),
        "follow_redirects": False,
    }


def transport_options(address: Address) -> dict[str, Any]:
    return {
        "verify": _tls(address),
        "limits": httpx.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=IDLE_SECONDS),
        "socket_options": KEEPALIVE,
    }


def _tls(address: Address) -> ssl.SSLContext | bool:
    """Raises InterfaceError. Loading certificates takes longer than everything else, so only https does."""
    if not address.secure:
        return False
    if address.ca_file is None:
        return httpx.create_ssl_context()
    try:
        return ssl.create_default_context(cafile=address.ca_file)
    except OSError as exc:
        raise InterfaceError(f"{address.ca_file} has no certificates: {exc}", hint="a file in PEM format") from exc


class Exchange:
    """One statement: what is asked, and whether it was cancelled here."""

    def __init__(self) -> None:
        self.query_id = secrets.token_hex(16)
        self.path = f"/v1/queries/{self.query_id}"
        self.cancelled = False
        self.timeout: float | None = None

    def request(self, sql: str, parameters: Parameters | None, timeout: float | None, demand: Demand) -> dict[str, Any]:
        """The arguments of httpx's `build_request`. Raises ProgrammingError for values that SQL has no type for."""
        self.timeout = timeout
        body: dict[str, Any] = {"sql": sql, "params": encode_parameters(parameters)}
        if timeout is not None:
            body["timeout"] = timeout
        if demand != ANY:
            body |= demand.options()
        wait = timeout + GRACE_SECONDS if timeout is not None else None
        return {
            "method": "POST",
            "url": "/v1/query",
            "content": to_json(body),
            "headers": {"Content-Type": "application/json", "Accept": ARROW, QUERY_ID: self.query_id},
            "timeout": httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS, read=wait, pool=None),
        }

    def check(self) -> None:
        """Raises QueryCancelled after a cancel."""
        if self.cancelled:
            raise self.failed(QueryCancelled("the query was cancelled"))

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


def is_rows(response: httpx.Response) -> bool:
    return response.status_code == 200 and _media_type(response) == ARROW


def failure(response: httpx.Response, body: bytes, address: Address) -> Error:
    """What an answer says that is not what was asked for."""
    status = response.status_code
    if response.has_redirect_location:
        where = urlsplit(response.headers["location"])
        elsewhere = f"connect to {where.scheme}://{where.netloc.rpartition('@')[2]}" if where.netloc else None
        return NotAFederationServer(
            f"{address.url} redirects ({status}), which is not followed", hint=elsewhere or "check the address"
        )
    document = _document(body) if _media_type(response) == PROBLEM else None
    if document is not None:
        return error_of(document, status)
    if status in (502, 503, 504):
        return ServerUnavailable(f"a proxy in front of {address.url} cannot reach the server ({status})")
    return NotAFederationServer(
        f"what answers at {address.url} is not a Federation server (status {status})", hint="check the address"
    )


def document(response: httpx.Response, address: Address) -> Document:
    """The JSON object of an answer. Raises what it says instead."""
    found = _document(response.content) if response.status_code == 200 else None
    if found is None:
        raise failure(response, response.content, address)
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


@contextlib.contextmanager
def translated(address: Address, exchange: Exchange | None = None) -> Iterator[None]:
    """httpx's exceptions as ours."""
    try:
        yield
    except httpx.ReadTimeout as exc:
        if exchange is not None and exchange.timeout is not None:
            late = QueryTimeout(f"the server said nothing within {exchange.timeout:g} s", hint="raise the timeout")
            raise exchange.failed(late) from exc
        raise ServerUnavailable(f"the server at {address.url} does not answer", hint="is it busy?") from exc
    except httpx.ConnectError as exc:
        if _is_about_certificates(exc):
            hint = "ca_file=… names the certificate of a private authority" if address.secure else None
            raise CertificateRefused(f"the certificate of {address.url} is not trusted: {exc}", hint=hint) from exc
        raise ServerUnavailable(
            f"there is no server at {address.url}: {exc}", hint="check the address, and that federation serve runs"
        ) from exc
    except httpx.TimeoutException as exc:
        raise ServerUnavailable(
            f"the server at {address.url} cannot be reached in time", hint="check the host"
        ) from exc
    except (httpx.HTTPError, httpx.StreamError) as exc:
        hint = "is it https?" if isinstance(exc, httpx.RemoteProtocolError) and not address.secure else None
        raise ServerUnavailable(f"the connection to {address.url} broke: {exc}", hint=hint) from exc
    except RuntimeError as exc:  # httpx's for a client that is closed
        raise InterfaceError("the connection is closed") from exc
    except httpx.InvalidURL as exc:
        raise InterfaceError(f"{address.url} is no address: {exc}") from exc


def _is_about_certificates(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _media_type(response: httpx.Response) -> str:
    found: str = response.headers.get("content-type", "")
    return found.partition(";")[0].strip().lower()


def _document(body: bytes) -> Document | None:
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
