"""What can fail between a client and its server, in the one tree of errors."""

from __future__ import annotations

from adapters.errors import OperationalError


class ServerUnavailable(OperationalError, sqlstate="08006", retryable=True):
    """The server cannot be reached, or the connection to it broke."""


class CertificateRefused(OperationalError, sqlstate="08001"):
    """The server cannot prove that it is the one that was asked."""


class NotAFederationServer(OperationalError, sqlstate="08P01"):
    """What answers does not speak Federation's protocol."""
