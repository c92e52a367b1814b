"""TLS: the server's side of it, and what binds a SCRAM exchange to it."""

from __future__ import annotations

import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes

ALPN = "postgresql"
HANDSHAKE = 0x16  # the first byte of a client that does not ask whether there is TLS


class Tls:
    """The certificate of the server. Raises OSError when it and its key cannot be used."""

    def __init__(self, certificate: Path, key: Path | None) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.load_cert_chain(certificate, key)
        self.context.set_alpn_protocols([ALPN])
        self.end_point = _end_point(x509.load_pem_x509_certificate(certificate.read_bytes()))


def _end_point(certificate: x509.Certificate) -> bytes:
    """The channel binding `tls-server-end-point` (RFC 5929): the certificate's hash by its own signature's algorithm,
    and by SHA-256 where that is a weak one or has none."""
    algorithm = certificate.signature_hash_algorithm
    if algorithm is None or isinstance(algorithm, hashes.MD5 | hashes.SHA1):
        algorithm = hashes.SHA256()
    return certificate.fingerprint(algorithm)
