"""Bearer tokens of an OpenID provider: signed JWTs, checked with the provider's published keys."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from typing import Any

import httpx
import jwt

from catalog.access import Provider
from catalog.policies import Caller
from federation.http.problems import HttpProblem

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
KEYS_TTL = 300.0
RELOAD_AFTER = 10.0  # seconds: an unknown key id does not make us ask the provider more often
FETCH_SECONDS = 5.0
LEEWAY = 30.0  # seconds that clocks may differ


class Keys:
    """The keys of one provider, fetched when they are needed and kept for a while."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._lock = threading.Lock()
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._loaded = float("-inf")

    def get(self, key_id: str | None) -> jwt.PyJWK | None:
        """Raises HttpProblem 503 when the provider does not answer."""
        with self._lock:
            age = time.monotonic() - self._loaded
            if age > KEYS_TTL or (key_id not in self._keys and age > RELOAD_AFTER):
                self._keys = self._load()
                self._loaded = time.monotonic()
            return self._keys.get(key_id)

    def _load(self) -> dict[str | None, jwt.PyJWK]:
        try:
            with httpx.Client(timeout=FETCH_SECONDS, trust_env=False) as client:
                found = jwt.PyJWKSet.from_dict(_json(client, self._provider.jwks_uri or self._discover(client)))
        except (httpx.HTTPError, jwt.PyJWTError, ValueError, KeyError) as exc:
            raise HttpProblem(503, f"the keys of the provider {self._provider.name} cannot be read") from exc
        keys: dict[str | None, jwt.PyJWK] = {key.key_id: key for key in found.keys}
        if len(found.keys) == 1:
            keys[None] = found.keys[0]
        return keys

    def _discover(self, client: httpx.Client) -> str:
        issuer = self._provider.issuer
        document = _json(client, issuer.rstrip("/") + "/.well-known/openid-configuration")
        if document["issuer"] != issuer:
            raise ValueError("the document is another issuer's")
        uri: str = document["jwks_uri"]
        return uri


class Verifiers:
    """Checks tokens of any of the providers of the catalog. Blocks while keys are fetched."""

    def __init__(self) -> None:
        self._keys: dict[Provider, Keys] = {}

    def check(self, text: str, providers: tuple[Provider, ...]) -> Caller | None:
        """Whom a valid token is of, None for any other."""
        try:
            header = jwt.get_unverified_header(text)
            issuer = jwt.decode(text, options={"verify_signature": False}).get("iss")
        except jwt.PyJWTError:
            return None
        for provider in providers:
            if provider.issuer == issuer:
                key = self._keys.setdefault(provider, Keys(provider)).get(header.get("kid"))
                claims = _verified(text, provider, key) if key is not None else None
                if claims is not None:
                    return _caller(provider, claims)
        return None


def _verified(text: str, provider: Provider, key: jwt.PyJWK) -> dict[str, Any] | None:
    try:
        claims: dict[str, Any] = jwt.decode(
            text,
            key,
            algorithms=ALGORITHMS,
            audience=provider.audience,
            issuer=provider.issuer,
            leeway=LEEWAY,
            options={"require": ["exp", "iss", "aud", provider.user_claim]},
        )
    except (jwt.PyJWTError, TypeError, ValueError):
        return None
    user = claims[provider.user_claim]
    return claims if isinstance(user, str) and user else None


def _caller(provider: Provider, claims: Mapping[str, Any]) -> Caller:
    """Claims that are lists or objects are no attributes."""
    user = claims[provider.user_claim]
    roles = _claim(claims, provider.roles_claim) if provider.roles_claim is not None else None
    listed = [roles] if isinstance(roles, str) else roles if isinstance(roles, list) else []
    found = {name: _claim(claims, name) for name in provider.attribute_claims}
    texts = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in found.items()
        if _is_plain(value)
    }
    names = tuple(dict.fromkeys(role for role in listed if isinstance(role, str)))
    return Caller(f"oidc:{provider.name}/{user}", user, roles=names, attributes=tuple(texts.items()))


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float)


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """Of that name, or else at the path that its dots make: realm_access.roles. None where there is none."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _json(client: httpx.Client, url: str) -> dict[str, Any]:
    answer = client.get(url)
    answer.raise_for_status()
    found = answer.json()
    if not isinstance(found, dict):
        raise ValueError("the provider's document is no object")
    return found
