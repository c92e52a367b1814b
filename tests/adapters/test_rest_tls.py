"""HTTPS: a certificate that is trusted, one that is not, and a cancel that ends an encrypted read."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.errors import QueryCancelled, SourceError, SourceUnavailable
from tests.adapters.rest_server import Resource, RestServer
from tests.adapters.test_rest_faults import ALL, KINDS, ROWS, cancelled, declared, ids


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that is its own authority; the key lies beside it."""
    folder = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "certificate.pem"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder / "certificate.pem"


@pytest.fixture
def server(certificate: Path) -> Iterator[RestServer]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, certificate.with_name("key.pem"))
    with RestServer({"/things": Resource(ROWS, paging="cursor", page_size=10)}, tls) as server:
        yield server


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))


@pytest.mark.usefixtures("trusted")
def test_rows_over_https(server: RestServer) -> None:
    assert ids(declared(server, KINDS["cursor"])) == ALL


def test_an_untrusted_certificate_is_an_error_at_once(server: RestServer) -> None:
    with pytest.raises(SourceUnavailable, match="is not trusted"):
        ids(declared(server, KINDS["cursor"]))
    assert server.journal == []


@pytest.mark.usefixtures("trusted")
def test_private_addresses_are_blocked_over_https(server: RestServer) -> None:
    with pytest.raises(SourceError, match="private address"):
        ids(declared(server, KINDS["cursor"], allow_private=False))
    assert server.journal == []


@pytest.mark.usefixtures("trusted")
def test_a_cancel_ends_an_encrypted_read(server: RestServer) -> None:
    adapter = declared(server, KINDS["cursor"])
    server.faults += ["", "hang"]
    assert isinstance(cancelled(server, adapter), QueryCancelled)
    assert ids(adapter) == ALL
