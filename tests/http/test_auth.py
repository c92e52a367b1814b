"""Who may ask: every way to say who one is, right, wrong, expired and taken back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from catalog.scram import Verifier
from tests.command import run_here
from tests.http.provider import Provider
from tests.http.running import Running, free_port, run, start_server, write_sample


@dataclass
class Guarded:
    server: Running
    provider: Provider
    tokens: dict[str, str]

    def status(self, authorization: str | None, path: str = "/v1/queries") -> int:
        headers = {"Authorization": authorization} if authorization is not None else {}
        answer = self.server.client.get(path, headers=headers)
        if answer.status_code == 401:
            assert "Basic" in answer.headers["www-authenticate"]
            assert answer.json()["sqlstate"] == "28000"
        return answer.status_code


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    provider = Provider()
    verifier = run_here("password", stdin="correct horse\n").stdout
    assert Verifier.parse(verifier.strip().removeprefix('password = "').removesuffix('"'))
    oidc = f'[oidc.company]\nissuer = "{provider.issuer}"\naudience = "federation"\n'
    write_sample(folder, f"\n[users.ada]\n{verifier}\n[users.'ä b']\n{verifier}\n{oidc}")
    options = ("-c", str(folder / "federation.toml"), "--state", str(folder / "state"))
    tokens = {
        "good": run_here("token", "create", "robot", *options).stdout.strip(),
        "short": run_here("token", "create", "short", "--expires", "1ms", *options).stdout.strip(),
        "revoked": run_here("token", "create", "revoked", *options).stdout.strip(),
    }
    assert run_here("token", "revoke", "revoked", *options).returncode == 0
    with start_server(folder) as server:
        yield Guarded(server, provider, tokens)
    provider.close()


def basic(user: str, password: str) -> str:
    request = httpx.Request("GET", "http://x")
    flow = httpx.BasicAuth(user.encode(), password.encode()).auth_flow(request)
    return str(next(flow).headers["authorization"])


@pytest.mark.parametrize("path", ["/v1/queries", "/v1/catalog", "/v1/statements", "/metrics", "/v1/nothing", "/"])
def test_nobody(guarded: Guarded, path: str) -> None:
    assert guarded.status(None, path) == 401


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/docs", "/openapi.json"])
def test_what_is_open(guarded: Guarded, path: str) -> None:
    assert guarded.status(None, path) == 200


def test_the_body_of_nobody_is_not_read(guarded: Guarded) -> None:
    assert guarded.server.client.post("/v1/query", content=b"{").status_code == 401


@pytest.mark.parametrize(("name", "status"), [("good", 200), ("short", 401), ("revoked", 401)])
def test_tokens(guarded: Guarded, name: str, status: int) -> None:
    assert guarded.status(f"Bearer {guarded.tokens[name]}") == status
    assert guarded.status(f"bearer  {guarded.tokens[name]}") == status


@pytest.mark.parametrize("text", ["fed_", "fed__", "fed_0_x", "x", "a.b.c", "fed_\xff", "é"])
def test_texts_that_are_no_tokens(guarded: Guarded, text: str) -> None:
    headers = {b"Authorization": f"Bearer {text}".encode("latin-1")}
    assert guarded.server.client.get("/v1/queries", headers=headers).status_code == 401


def test_a_token_with_another_secret(guarded: Guarded) -> None:
    good = guarded.tokens["good"]
    for wrong in (good[:-1], good + "x", good[:-1] + ("A" if good[-1] != "A" else "B"), good.upper()):
        assert guarded.status(f"Bearer {wrong}") == 401


def test_a_token_is_revoked_at_once(guarded: Guarded) -> None:
    folder = guarded.server.folder
    options = ("-c", str(folder / "federation.toml"), "--state", str(folder / "state"))
    token = run_here("token", "create", "brief", *options).stdout.strip()
    assert guarded.status(f"Bearer {token}") == 200
    taken = run_here("token", "create", "brief", *options)
    assert taken.returncode == 1
    assert "already" in taken.stderr
    assert run_here("token", "revoke", "brief", *options).returncode == 0
    assert guarded.status(f"Bearer {token}") == 401
    listed = run_here("token", "list", *options).stdout
    assert "brief\trevoked" in listed
    assert "robot\tvalid" in listed
    assert token.split("_", 2)[2] not in listed
    assert token.split("_", 2)[2].encode() not in (folder / "state" / "state.sqlite").read_bytes()


@pytest.mark.parametrize(
    ("user", "password", "status"),
    [
        ("ada", "correct horse", 200),
        ("ä b", "correct horse", 200),
        ("ada", "wrong horse", 401),
        ("ada", "", 401),
        ("ADA", "correct horse", 401),
        ("nobody", "correct horse", 401),
        ("", "", 401),
    ],
)
def test_passwords(guarded: Guarded, user: str, password: str, status: int) -> None:
    for _ in range(2):  # the second time it is remembered
        assert guarded.status(basic(user, password)) == status


@pytest.mark.parametrize("value", ["Basic", "Basic !", "Basic YWRh", "Basic /w==", "Digest x", "nonsense", "Negotiate"])
def test_what_is_no_login(guarded: Guarded, value: str) -> None:
    assert guarded.status(value) == 401


def test_tokens_of_the_provider(guarded: Guarded) -> None:
    provider = guarded.provider
    assert guarded.status(f"Bearer {provider.token()}") == 200
    assert guarded.status(f"Bearer {provider.token('ec', 'ES256')}") == 200
    assert guarded.status(f"Bearer {provider.token(aud=['other', 'federation'])}") == 200


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": int(time.time()) - 3600},
        {"exp": None},
        {"aud": "another"},
        {"aud": None},
        {"iss": "https://evil.example.org"},
        {"iss": None},
        {"sub": None},
        {"sub": ""},
        {"nbf": int(time.time()) + 3600},
    ],
)
def test_claims_that_do_not_hold(guarded: Guarded, claims: dict[str, Any]) -> None:
    assert guarded.status(f"Bearer {guarded.provider.token(**claims)}") == 401


def test_signatures_that_do_not_hold(guarded: Guarded) -> None:
    provider = guarded.provider
    other = rsa.generate_private_key(65537, 2048)
    claims = {"iss": provider.issuer, "aud": "federation", "sub": "ada", "exp": int(time.time()) + 60}
    assert guarded.status(f"Bearer {provider.token(key=other)}") == 401
    assert guarded.status(f"Bearer {jwt.encode(claims, '', 'none')}") == 401
    assert guarded.status(f"Bearer {jwt.encode(claims, 'x' * 64, 'HS256', {'kid': 'rsa'})}") == 401
    good = provider.token()
    assert guarded.status(f"Bearer {good[:-4]}AAAA") == 401


def test_an_unknown_key_does_not_make_the_server_ask_each_time(guarded: Guarded) -> None:
    other = rsa.generate_private_key(65537, 2048)
    guarded.status(f"Bearer {guarded.provider.token()}")
    before = guarded.provider.requests
    for number in range(20):
        assert guarded.status(f"Bearer {guarded.provider.token(f'k{number}', key=other)}") == 401
    assert guarded.provider.requests - before <= 4


def test_who_asked_is_known(guarded: Guarded) -> None:
    client = guarded.server.client
    for authorization, user in (
        (basic("ada", "correct horse"), "user:ada"),
        (f"Bearer {guarded.tokens['good']}", "token:robot"),
        (f"Bearer {guarded.provider.token()}", "oidc:company/ada"),
    ):
        headers = {"Authorization": authorization}
        query_id = client.post("/v1/query", json={"sql": "SELECT 1"}, headers=headers).json()["query_id"]
        assert client.get(f"/v1/queries/{query_id}", headers=headers).json()["user"] == user


def test_a_statement_is_its_owners(guarded: Guarded) -> None:
    client = guarded.server.client
    ada = {"Authorization": basic("ada", "correct horse")}
    robot = {"Authorization": f"Bearer {guarded.tokens['good']}"}
    made = client.post("/v1/statements", json={"sql": "SELECT 1"}, headers={**ada, "Idempotency-Key": "k"}).json()
    path = f"/v1/statements/{made['statement_id']}"
    assert client.get(path, headers=ada).status_code == 200
    for method, at in (("GET", path), ("DELETE", path), ("GET", f"{path}/result")):
        assert client.request(method, at, headers=robot).status_code == 404
    assert client.get("/v1/statements", headers=robot).json()["statements"] == []
    other = client.post("/v1/statements", json={"sql": "SELECT 2"}, headers={**robot, "Idempotency-Key": "k"})
    assert other.json()["statement_id"] != made["statement_id"]


def test_no_secret_is_in_the_log(guarded: Guarded) -> None:
    log = (guarded.server.folder / "server.log").read_text()
    assert "correct horse" not in log
    assert guarded.tokens["good"] not in log


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_it_does_not_start_open_to_all(folder: Path, tmp_path: Path, host: str) -> None:
    done = run("serve", "-c", str(folder / "federation.toml"), "--host", host, "--state", str(tmp_path / "s"))
    assert done.returncode == 1
    assert "ERROR 28000" in done.stderr
    assert "federation token create" in done.stderr


def test_it_starts_for_all_addresses_with_a_token(folder: Path, tmp_path: Path) -> None:
    options = ("-c", str(folder / "federation.toml"), "--state", str(tmp_path / "s"))
    token = run_here("token", "create", "x", *options).stdout.strip()
    with start_server(folder, "--host", "0.0.0.0", state=tmp_path / "s") as server:
        assert server.client.get("/v1/catalog").status_code == 401
        answer = server.client.get("/v1/catalog", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200
    assert "clear text" in (folder / "server.log").read_text()


def test_the_last_tokens_end_does_not_open_the_door(folder: Path, tmp_path: Path) -> None:
    options = ("-c", str(folder / "federation.toml"), "--state", str(tmp_path / "s"))
    run_here("token", "create", "x", *options)
    run_here("token", "revoke", "x", *options)
    with start_server(folder, state=tmp_path / "s") as server:
        assert server.client.get("/v1/catalog").status_code == 401


def test_ports_that_are_none(folder: Path, tmp_path: Path) -> None:
    for port in ("-1", "65536", "x", ""):
        done = run("serve", "-c", str(folder / "federation.toml"), "--http-port", port, "--state", str(tmp_path))
        assert done.returncode == 2, port
    assert free_port() > 0
