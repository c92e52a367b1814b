"""Who may ask for what, and who may be told: `[users]`, `[oidc]`, `[roles]` and `[callbacks]` of the catalog file.

A user has a password verifier, an OpenID provider vouches for its own users. Names are as the file spells them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from catalog.roles import Role, check_names
from catalog.scram import Verifier
from catalog.values import Section

USER_KEYS = ("password", "roles", "attributes")
OIDC_KEYS = ("issuer", "audience", "jwks_uri", "user_claim", "roles_claim", "attribute_claims")
CALLBACK_KEYS = ("hosts", "secret")
SHORTEST_SECRET = 24  # characters


@dataclass(frozen=True, slots=True)
class User:
    """`roles` in the order in which they count, `attributes` for row filters and masks."""

    name: str
    verifier: Verifier = field(repr=False)
    roles: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Provider:
    """An OpenID provider: tokens of `issuer` for `audience`; `jwks_uri` None is found by discovery. Without a
    `roles_claim` its users have no roles."""

    name: str
    issuer: str
    audience: str
    jwks_uri: str | None = None
    user_claim: str = "sub"
    roles_claim: str | None = None
    attribute_claims: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Callbacks:
    """The hosts that may be called back, and the secret that signs what they are told."""

    hosts: tuple[str, ...] = ()
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Access:
    users: Mapping[str, User] = field(default_factory=dict)
    providers: tuple[Provider, ...] = ()
    callbacks: Callbacks = Callbacks()
    roles: Mapping[str, Role] = field(default_factory=dict)


def read_access(
    users: Iterable[Section], providers: Iterable[Section], callbacks: Iterable[Section], roles: Mapping[str, Role]
) -> Access:
    """The sections have their references resolved; faults are noted in them."""
    found = {user.name: user for user in _users(users, roles)}
    return Access(found, tuple(_providers(providers)), _callbacks(callbacks), roles)


def _users(parts: Iterable[Section], known: Mapping[str, Role]) -> Iterator[User]:
    for section in parts:
        section.reject_unknown(USER_KEYS)
        password = section.text("password", required=True)
        roles = check_names(section, "roles", section.texts("roles"), known)
        attributes = section.texts_by_name("attributes")
        if password is None:
            continue
        if ":" in section.name:
            section.fault("", "the name of a user cannot hold a colon", "HTTP basic takes it for the end of the name")
        elif (verifier := Verifier.parse(password)) is None:
            section.fault("password", "this is no verifier", "write what `federation password` prints")
        else:
            yield User(section.name, verifier, roles, attributes)


def _providers(parts: Iterable[Section]) -> Iterator[Provider]:
    for section in parts:
        section.reject_unknown(OIDC_KEYS)
        issuer, audience = _url(section, "issuer", required=True), section.text("audience", required=True)
        jwks_uri, claim = _url(section, "jwks_uri"), section.text("user_claim")
        if issuer is not None and audience is not None:
            roles, attributes = section.text("roles_claim"), tuple(section.texts("attribute_claims"))
            yield Provider(section.name, issuer, audience, jwks_uri, claim or "sub", roles, attributes)


def _callbacks(parts: Iterable[Section]) -> Callbacks:
    hosts: list[str] = []
    secret = None
    for section in parts:
        section.reject_unknown(CALLBACK_KEYS)
        hosts += [host.casefold() for host in section.texts("hosts")]
        secret = section.text("secret", required=True) or secret
        if secret is not None and len(secret) < SHORTEST_SECRET:
            section.fault("secret", f"this must have {SHORTEST_SECRET} characters or more", "openssl rand -base64 32")
    return Callbacks(tuple(hosts), secret)


def _url(section: Section, key: str, *, required: bool = False) -> str | None:
    """Keys that anybody on the way could exchange would vouch for nobody: plain HTTP is for this machine."""
    text = section.text(key, required=required)
    if text is None:
        return None
    parts = urlsplit(text)
    if parts.scheme == "https" and parts.hostname:
        return text
    if parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1", "::1"):
        return text
    section.fault(key, "this must be an https:// address", "http:// is for this machine alone")
    return None
