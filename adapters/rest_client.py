"""GET over HTTP, with everything that can go wrong turned into the error tree here.

A connection is taken for one request and given back before the rows are handed on, so that a slow consumer holds
none. Cancelling shuts the socket down, which ends a read that blocks.
"""

from __future__ import annotations

import base64
import ipaddress
import math
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import httpx

from adapters.base import CancelToken
from adapters.errors import Error, SourceAuthError, SourceError, SourceUnavailable
from adapters.pool import Pool
from adapters.rest_json import parse_body
from adapters.rest_manifest import ApiKeyAuth, BasicAuth, BearerAuth, Manifest
from adapters.rest_validation import Validator, validator_of

_CONNECT_SECONDS = 10.0
_REDIRECTS = 5
_BACKOFF_SECONDS = 0.2
_COMPLETE = (HTTPStatus.OK, HTTPStatus.NON_AUTHORITATIVE_INFORMATION)
_HINTS = {404: "check base_url and path", 414: "lower max_values", 400: "check the parameters in the catalog file"}
_WORTH_RETRYING = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Answer:
    """`url` is where it came from, `validator` what it can be asked by again."""

    body: Any
    links: Mapping[str, str]
    url: httpx.URL
    validator: Validator | None = None


#: what was asked by its validator is still what it was
UNCHANGED = Answer(None, {}, httpx.URL())


class _Transient(Exception):
    """A failure that may pass; `wait` is what the source asks for, in seconds."""

    def __init__(self, error: Error, wait: float | None = None) -> None:
        super().__init__()
        self.error = error
        self.wait = wait


class _PrivateAddress(Exception):
    pass


class _Connection:
    """One HTTP connection, kept alive between requests, that another thread can break."""

    def __init__(self, manifest: Manifest) -> None:
        self._allow_private = manifest.allow_private
        self._socket: socket.socket | None = None
        # Loading the certificates takes 30 ms, and plain HTTP never turns into HTTPS: that is another origin.
        verify = httpx.create_ssl_context() if manifest.base_url.startswith("https:") else False
        # Proxies and .netrc of the environment would send credentials where the catalog file does not say.
        self._client = httpx.Client(
            verify=verify,
            trust_env=False,
            timeout=httpx.Timeout(manifest.timeout, connect=min(manifest.timeout, _CONNECT_SECONDS)),
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
        )

    @contextmanager
    def get(self, url: httpx.URL, headers: httpx.Headers) -> Iterator[httpx.Response]:
        with self._client.stream("GET", url, headers=headers, extensions={"trace": self._trace}) as response:
            yield response

    def abort(self) -> None:
        if self._socket is not None:
            try:
                # Not SSLSocket.shutdown, which takes the TLS state away from under the thread that reads.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
            except OSError:
                return  # already gone

    def close(self) -> None:
        self._client.close()

    def _trace(self, event: str, info: Mapping[str, Any]) -> None:
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            stream = info["return_value"]
            self._socket = stream.get_extra_info("socket")
            # Checked on the connection that was made, before a byte is sent: the name may resolve anew each time.
            if not self._allow_private and _is_private(stream.get_extra_info("server_addr")[0]):
                stream.close()
                raise _PrivateAddress


class Client:
    """GETs JSON from one origin."""

    def __init__(self, source: str, manifest: Manifest) -> None:
        self._source = source
        self._manifest = manifest
        self._base = httpx.URL(manifest.base_url)
        self._headers = httpx.Headers({"User-Agent": "federation", "Accept": "application/json"})
        self._headers.update(_headers(manifest))
        self._pool = Pool(lambda: _Connection(manifest), lambda connection: connection.close())

    def close(self) -> None:
        self._pool.close()

    def url(self, path: str, params: tuple[tuple[str, str], ...]) -> httpx.URL:
        try:
            return httpx.URL(self._manifest.base_url + path, params=list(params))
        except httpx.InvalidURL as exc:
            raise SourceError(f"GET {path}: the filter makes no valid URL", source=self._source) from exc

    def resolve(self, link: str, base: httpx.URL, what: str) -> httpx.URL:
        """A link that the source named, if it stays at the source."""
        try:
            url = base.join(link)
        except httpx.InvalidURL as exc:
            raise SourceError(f"{what}: the source named a link that is no URL", source=self._source) from exc
        if _origin(url) != _origin(self._base) or url.userinfo:
            raise SourceError(
                f"{what}: the source points to another origin, {url.scheme}://{url.host}; it is not followed",
                hint="set base_url to the origin that answers",
                source=self._source,
            )
        return url

    def get(
        self,
        url: httpx.URL,
        what: str,
        cancel: CancelToken,
        *,
        missing_ok: bool = False,
        unless: Validator | None = None,
    ) -> Answer | None:
        """None for a 404 with `missing_ok`, UNCHANGED for what `unless` still holds of. `what` stands for the URL in
        messages."""
        retry = self._manifest.retry
        for attempt in range(1, retry.attempts + 1):
            try:
                return self._attempt(url, what, cancel, missing_ok, unless)
            except _Transient as exc:
                wait = _BACKOFF_SECONDS * 2 ** (attempt - 1) if exc.wait is None else exc.wait
                if wait > retry.max_wait:
                    exc.error.hint = f"the source asks to wait {wait:.0f} s, more than retry.max_wait"
                if attempt == retry.attempts or wait > retry.max_wait:
                    raise exc.error from exc.__cause__
                _wait(wait, cancel)
        raise AssertionError("retry.attempts is positive")

    def _attempt(
        self, url: httpx.URL, what: str, cancel: CancelToken, missing_ok: bool, unless: Validator | None
    ) -> Answer | None:
        for _ in range(_REDIRECTS):
            status, headers, links, body = self._fetch(url, what, cancel, unless)
            if status in _COMPLETE:
                return Answer(self._parse(body, what), links, url, validator_of(headers))
            if status == HTTPStatus.NOT_MODIFIED and unless is not None:
                return UNCHANGED
            if status == HTTPStatus.NOT_FOUND and missing_ok:
                return None
            if status not in (301, 302, 303, 307, 308) or "location" not in headers:
                raise self._refused(status, headers, what)
            url, unless = self.resolve(headers["location"], url, what), None  # it is about another place
        raise SourceError(f"{what}: more than {_REDIRECTS} redirects", source=self._source)

    def _fetch(
        self, url: httpx.URL, what: str, cancel: CancelToken, unless: Validator | None
    ) -> tuple[int, httpx.Headers, Mapping[str, str], bytes]:
        headers = self._headers.copy()
        if unless is not None:
            headers[unless.header] = unless.value
        connection = self._pool.acquire(cancel)
        unregister = cancel.register(connection.abort)
        broken = True
        try:
            with self._translated(what, cancel), connection.get(self._signed(url), headers) as response:
                body = self._read(response, what)
                broken = False
                return response.status_code, response.headers, _links(response), body
        finally:
            unregister()
            self._pool.release(connection, broken=broken)

    def _signed(self, url: httpx.URL) -> httpx.URL:
        auth = self._manifest.auth
        if isinstance(auth, ApiKeyAuth) and auth.query:
            return url.copy_set_param(auth.query, auth.key.get_secret_value())
        return url

    def _read(self, response: httpx.Response, what: str) -> bytes:
        chunks, size = [], 0
        for chunk in response.iter_bytes():
            size += len(chunk)
            if size > self._manifest.max_response_bytes:
                raise SourceError(
                    f"{what}: one page is larger than {self._manifest.max_response_bytes} bytes",
                    hint="ask for smaller pages with page_size, or raise max_response_bytes",
                    source=self._source,
                )
            chunks.append(chunk)
        return b"".join(chunks)

    def _parse(self, body: bytes, what: str) -> Any:
        try:
            return parse_body(body)
        except ValueError as exc:
            if body.lstrip()[:1] == b"<":
                message, hint = (
                    "an HTML or XML page came instead of JSON",
                    "often a login page: check auth and base_url",
                )
            else:
                message, hint = f"what came is not JSON ({len(body)} bytes)", "check path and base_url"
            # The parser's error holds the body, so it is not kept as the cause.
            raise SourceError(f"{what}: {message}", hint=hint, source=self._source) from _without_body(exc)

    def _refused(self, status: int, headers: httpx.Headers, what: str) -> Exception:
        phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "an unknown status"
        message = f"{what}: the source answered {status} ({phrase})"
        if status in (401, 403):
            return SourceAuthError(message, hint=f"check auth of [sources.{self._source}]", source=self._source)
        if status in _WORTH_RETRYING:
            return _Transient(SourceUnavailable(message, source=self._source), _retry_after(headers))
        return SourceError(message, hint=_HINTS.get(status), source=self._source)

    @contextmanager
    def _translated(self, what: str, cancel: CancelToken) -> Iterator[None]:
        """From the driver's exceptions to ours. Their texts may hold the URL with its key: they are not shown."""
        try:
            yield
        except _PrivateAddress as exc:
            raise SourceError(
                f"{what}: {self._base.host} is a private address, which is blocked",
                hint=f"set allow_private = true in [sources.{self._source}] if that is meant",
                source=self._source,
            ) from exc
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as exc:
            cancel.check()
            if isinstance(exc, httpx.ReadTimeout):
                # Asking once more would only add to the load that made it slow.
                message = f"{what}: no answer within {self._manifest.timeout:g} s"
                raise SourceUnavailable(message, hint="raise timeout, or filter more", source=self._source) from exc
            if _is_untrusted(exc):
                raise SourceUnavailable(
                    f"{what}: the certificate of {self._base.host} is not trusted",
                    hint="name the file of its authority in SSL_CERT_FILE",
                    source=self._source,
                ) from exc
            if isinstance(exc, httpx.TransportError):
                unreachable = isinstance(exc, httpx.ConnectError | httpx.ConnectTimeout)
                happened = f"{self._base.host} cannot be reached" if unreachable else "the connection broke"
                hint = "check base_url, and that the service runs" if unreachable else "run the query again"
                raise _Transient(SourceUnavailable(f"{what}: {happened}", hint=hint, source=self._source)) from exc
            raise SourceError(f"{what}: the answer cannot be read ({type(exc).__name__})", source=self._source) from exc


def _headers(manifest: Manifest) -> dict[str, str]:
    headers = {name: value.get_secret_value() for name, value in manifest.headers.items()}
    match manifest.auth:
        case BasicAuth(username=username, password=password):
            pair = f"{username}:{password.get_secret_value()}".encode()
            headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
        case BearerAuth(token=token):
            headers["Authorization"] = f"Bearer {token.get_secret_value()}"
        case ApiKeyAuth(header=str(header), key=key):
            headers[header] = key.get_secret_value()
    return headers


def _links(response: httpx.Response) -> dict[str, str]:
    """One link may have several relations: rel="next last"."""
    named = response.links.items()
    return {one: link["url"] for rel, link in named if "url" in link for one in (rel or "").lower().split()}


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


def _is_private(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        return not ip.ipv4_mapped.is_global
    return not ip.is_global or ip.is_multicast


def _is_untrusted(exc: BaseException) -> bool:
    link: BaseException | None = exc
    while link is not None and not isinstance(link, ssl.SSLCertVerificationError):
        link = link.__cause__ or link.__context__
    return link is not None


def _retry_after(headers: httpx.Headers) -> float | None:
    """Seconds, whole or not, or an HTTP date; None without one that can be read."""
    text = headers.get("retry-after", "")
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = (zoned - datetime.now(UTC)).total_seconds()
    return None if math.isnan(seconds) else max(seconds, 0.0)


def _wait(seconds: float, cancel: CancelToken) -> None:
    woken = threading.Event()
    unregister = cancel.register(woken.set)
    woken.wait(seconds)
    unregister()
    cancel.check()


def _without_body(exc: ValueError) -> ValueError:
    return ValueError(f"{type(exc).__name__} at byte {getattr(exc, 'pos', getattr(exc, 'start', '?'))}")
