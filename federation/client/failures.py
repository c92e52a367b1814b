"""What fails between a client and its server before there is an answer to read, whichever library noticed it."""

from __future__ import annotations

from adapters.errors import Error, InterfaceError
from federation.client.address import Address
from federation.client.errors import CertificateRefused, ServerUnavailable


def absent(address: Address, cause: Exception) -> Error:
    """Nothing takes a connection."""
    return ServerUnavailable(
        f"there is no server at {address.url}: {cause}", hint="check the address, and that federation serve runs"
    )


def unreached(address: Address) -> Error:
    """Nothing takes a connection, or what is sent, in time."""
    return ServerUnavailable(f"the server at {address.url} cannot be reached in time", hint="check the host")


def untrusted(address: Address, cause: Exception) -> Error:
    hint = "ca_file=… names the certificate of a private authority"
    return CertificateRefused(f"the certificate of {address.url} is not trusted: {cause}", hint=hint)


def unanswered(address: Address) -> Error:
    """Nothing comes in time."""
    return ServerUnavailable(f"the server at {address.url} does not answer", hint="is it busy?")


def broke(address: Address, cause: Exception, *, no_http: bool) -> Error:
    """The connection ended; `no_http` says that what came was not HTTP."""
    hint = "is it https?" if no_http and not address.secure else None
    return ServerUnavailable(f"the connection to {address.url} broke: {cause}", hint=hint)


def no_address(address: Address, cause: Exception) -> Error:
    return InterfaceError(f"{address.url} is no address: {cause}")


def closed() -> Error:
    return InterfaceError("the connection is closed")
