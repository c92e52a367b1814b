"""Each face passes on who asks: HTTP with a password, a token of a user and one of a provider; PostgreSQL's protocol
with a password and a token. What each lists is what is granted."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.command import run_here
from tests.http.provider import Provider
from tests.pgwire.running import Postgres, start_face
from tests.policies.world import PASSWORD, VERIFIER, catalog_text
from tests.waiting import eventually

IDS = "SELECT id FROM pg.orders ORDER BY id"
EU, US = list(range(3, 61, 3)), list(range(1, 61, 3))


@dataclass
class Faces:
    running: Postgres
    provider: Provider
    tokens: dict[str, str]
    folder: Path

    def headers(self, who: str, **claims: Any) -> Any:
        """`who` is a user, `token NAME`, or `oidc NAME` with claims."""
        kind, _, name = who.partition(" ")
        if kind == "token":
            return {"Authorization": f"Bearer {self.tokens[name]}"}
        if kind == "oidc":
            return {"Authorization": f"Bearer {self.provider.token(sub=name, **claims)}"}
        request = httpx.Request("GET", "http://x")
        return {"Authorization": next(httpx.BasicAuth(who, PASSWORD).auth_flow(request)).headers["authorization"]}

    def get(self, who: str, path: str) -> Any:
        return self.running.http.client.get(path, headers=self.headers(who))

    def post(self, who: str, path: str, body: Any, more: dict[str, str] | None = None, **claims: Any) -> httpx.Response:
        headers = self.headers(who, **claims) | (more or {})
        return self.running.http.client.post(path, json=body, headers=headers)

    def rows(self, who: str, sql: str, **claims: Any) -> list[Any]:
        answer = self.post(who, "/v1/query", {"sql": sql}, **claims)
        assert answer.status_code == 200, answer.text
        return [row[0] for row in answer.json()["rows"]]

    def connect(self, user: str, password: str = PASSWORD) -> psycopg.Connection[Any]:
        port = self.running.port
        return psycopg.connect(host="127.0.0.1", port=port, user=user, password=password, dbname="x", autocommit=True)


@pytest.fixture(scope="module")
def faces(policies_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faces]:
    folder = tmp_path_factory.mktemp("faces")
    for name in ("crm.db", "items.parquet"):
        shutil.copy(policies_folder / name, folder)
    provider = Provider()
    oidc = f"""
    [oidc.company]
    issuer = "{provider.issuer}"
    audience = "federation"
    roles_claim = "realm_access.roles"
    attribute_claims = ["region"]
    """
    (folder / "federation.toml").write_text(catalog_text((policies_folder / "uri").read_text()) + oidc)
    options = ("-c", str(folder / "federation.toml"), "--state", str(folder / "state"))
    tokens = {
        name: run_here("token", "create", name, *options, *(("--user", user) if user else ())).stdout.strip()
        for name, user in (("eu", "eu"), ("plain", None), ("root", "root"))
    }
    with start_face(folder) as running:
        yield Faces(running, provider, tokens, folder)
    provider.close()


def test_a_token_is_of_a_user_that_there_is(faces: Faces) -> None:
    options = ("-c", str(faces.folder / "federation.toml"), "--state", str(faces.folder / "state"))
    done = run_here("token", "create", "x", "--user", "eeu", *options)
    assert done.returncode == 1
    assert "there is no user 'eeu'" in done.stderr
    assert "did you mean" in done.stderr
    assert "for eu" in run_here("token", "list", *options).stdout


def test_http(faces: Faces) -> None:
    assert faces.rows("eu", IDS) == faces.rows("token eu", IDS) == EU
    assert faces.rows("us", IDS) == US
    assert faces.rows("all", IDS) == list(range(1, 61))
    access = {"roles": ["nothing", "regional"]}
    assert faces.rows("oidc eve", IDS, realm_access=access, region="EU") == EU
    assert faces.rows("oidc eve", IDS, realm_access=access, region=["EU"]) == []
    assert faces.rows("oidc eve", IDS, realm_access=access) == []
    mine = {"realm_access": {"roles": "owner"}}
    assert faces.rows("oidc eve", "SELECT id FROM crm.accounts ORDER BY id", **mine) == [2, 4, 6, 8, 10]
    for who in ("none", "token plain", "oidc root"):  # the name of a user of the file is not that user
        for path in ("/v1/query", "/v1/explain"):
            answer = faces.post(who, path, {"sql": IDS})
            assert (answer.status_code, answer.json()["sqlstate"]) == (403, "42501")
            assert answer.json()["type"].endswith(":InsufficientPrivilege")
    assert "'EU'" in faces.post("eu", "/v1/explain", {"sql": IDS}).json()["text"]


def test_statements_belong_to_who_asked(faces: Faces) -> None:
    key = {"Idempotency-Key": "the same"}
    access = {"roles": ["regional"]}

    def submit(who: str, **claims: Any) -> str:
        answer = faces.post(who, "/v1/statements", {"sql": IDS}, key, **claims)
        assert answer.status_code == 202, answer.text
        statement: str = answer.json()["statement_id"]
        path = f"/v1/statements/{statement}"
        headers = faces.headers(who, **claims)
        client = faces.running.http.client
        eventually(lambda: client.get(path, headers=headers).json()["state"] == "finished")
        return statement

    def result(statement: str, who: str, **claims: Any) -> Any:
        path = f"/v1/statements/{statement}/result"
        answer = faces.running.http.client.get(path, headers=faces.headers(who, **claims))
        return [row[0] for row in answer.json()["rows"]] if answer.status_code == 200 else answer.status_code

    eu, us = submit("eu"), submit("us")
    eve = {"realm_access": access, "region": "EU"}
    moved = {"realm_access": access, "region": "US"}
    first, second = submit("oidc eve", **eve), submit("oidc eve", **moved)
    assert len({eu, us, first, second}) == 4
    assert submit("eu") == submit("token eu") == eu
    assert result(eu, "eu") == result(first, "oidc eve", **eve) == EU
    assert result(us, "us") == result(second, "oidc eve", **moved) == US
    assert result(eu, "us") == result(first, "oidc eve", **moved) == result(eu, "root") == 404


def test_the_catalog_over_http(faces: Faces) -> None:
    def tables(who: str) -> set[str]:
        found = faces.get(who, "/v1/catalog/tables").json()["tables"]
        return {".".join(filter(None, (each["source"], each["schema"], each["name"]))) for each in found}

    views = {"shown.customers", "shown.spending"}
    assert tables("eu") == {"pg.public.orders", "pg.public.customers"} | views
    assert tables("ada") == {"crm.main.accounts"}
    assert tables("shown") == {"shown.spending"}
    assert tables("none") == tables("token plain") == set()
    assert "pg.hidden.secrets" in tables("all")
    assert tables("all") == tables("root")
    overview = faces.get("ada", "/v1/catalog").json()
    assert [source["name"] for source in overview["sources"]] == ["crm"]
    assert overview["view_schemas"] == []
    assert faces.get("ada", "/v1/catalog/tables?source=pg").status_code == 404
    assert faces.get("eu", "/v1/catalog/table?source=pg&name=orders").status_code == 200
    for path in ("source=pg&schema=hidden&name=secrets", "source=crm&name=accounts", "schema=kept&name=native"):
        assert faces.get("eu", f"/v1/catalog/table?{path}").status_code == 403
    missing = faces.get("eu", "/v1/catalog/table?source=pg&schema=hidden&name=secret").json()
    assert "secrets" not in json.dumps(missing)


def test_lists_of_queries(faces: Faces) -> None:
    assert faces.rows("eu", "SELECT 'asked by eu'")
    assert faces.rows("us", "SELECT 'asked by us'")

    def asked(who: str) -> dict[str, str]:
        return {each["sql"]: each["query_id"] for each in faces.get(who, "/v1/queries").json()["queries"]}

    assert "SELECT 'asked by eu'" in asked("eu")
    assert "SELECT 'asked by us'" not in asked("eu")
    assert {"SELECT 'asked by eu'", "SELECT 'asked by us'"} <= asked("root").keys() & asked("token root").keys()
    theirs, client = asked("us")["SELECT 'asked by us'"], faces.running.http.client
    for who, status in (("eu", 404), ("none", 404), ("us", 200), ("root", 200)):
        assert faces.get(who, f"/v1/queries/{theirs}").status_code == status
        assert faces.get(who, f"/v1/queries/{theirs}/events").status_code == status
        deleted = client.delete(f"/v1/queries/{theirs}", headers=faces.headers(who)).status_code
        assert deleted == (204 if status == 200 else 404)


def test_the_tables_of_the_system(faces: Faces) -> None:
    assert faces.rows("us", "SELECT 4711")
    for name in ("sources", "tables", "columns", "queries", "fragments", "cache", "policies"):
        for who in ("eu", "all", "none"):
            answer = faces.post(who, "/v1/query", {"sql": f"SELECT * FROM system.{name}"})
            assert (answer.status_code, answer.json()["sqlstate"]) == (403, "42501")
        with faces.connect("all") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(f"SELECT * FROM system.{name}")
    sql = "SELECT caller FROM system.queries WHERE sql = 'SELECT 4711'"
    assert faces.rows("root", sql) == faces.rows("token root", sql) == ["user:us"]
    listed = f"{LISTED['pg_class']} AND nspname = 'system'"
    with faces.connect("root") as connection:
        assert connection.execute(sql).fetchall() == [("user:us",)]
        assert {"system.queries", "system.columns", "system.cache"} <= {row[0] for row in connection.execute(listed)}
        names = connection.execute("SELECT full_name FROM system.tables WHERE source = 'pg'").fetchall()
        assert ("pg.hidden.secrets",) in names
    with faces.connect("all") as connection:
        assert connection.execute(listed).fetchall() == []


def test_administration(faces: Faces) -> None:
    for who, status in (("eu", 403), ("all", 403), ("none", 403), ("root", 200), ("token root", 200)):
        assert faces.post(who, "/v1/catalog/reload", {}).status_code == status
    for who, name, status in (
        ("eu", "pg.orders", 200),
        ("eu", "crm", 403),
        ("ada", "pg.orders", 403),
        ("root", "crm", 200),
    ):
        assert faces.post(who, "/v1/cache/invalidate", {"name": name}).status_code == status
    assert len(faces.rows("root", "SELECT kind FROM system.policies")) > 10


def test_postgres(faces: Faces) -> None:
    for user, password, expected in (("eu", PASSWORD, EU), ("us", PASSWORD, US), ("token", faces.tokens["eu"], EU)):
        with faces.connect(user, password) as connection:
            for prepare in (None, True, True):
                found = connection.execute("SELECT id FROM pg.orders WHERE id > %s ORDER BY id", [0], prepare=prepare)
                assert [row[0] for row in found] == expected
            assert connection.execute("SELECT count(*) FROM pg.orders").fetchone() == (len(expected),)
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match=r"permission denied for table pg\.hidden"):
                connection.execute('SELECT * FROM "pg.hidden".secrets')
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("EXPLAIN SELECT * FROM crm.accounts")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("CALL system.invalidate('crm.accounts')")
            connection.execute("CALL system.invalidate('pg.orders')")
    with faces.connect("mask") as connection:
        found = connection.execute("SELECT email FROM pg.customers WHERE email LIKE 'person%' OR email LIKE '*%'")
        assert {row[0] for row in found} == {"***@example.org"}
    for user, password in (("none", PASSWORD), ("token", faces.tokens["plain"])):
        with faces.connect(user, password) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(IDS)


LISTED = {
    "information_schema.tables": "SELECT table_schema || '.' || table_name FROM information_schema.tables"
    " WHERE table_schema NOT IN ('pg_catalog', 'information_schema')",
    "information_schema.columns": "SELECT DISTINCT table_schema || '.' || table_name FROM information_schema.columns"
    " WHERE table_schema NOT IN ('pg_catalog', 'information_schema')",
    "pg_class": "SELECT nspname || '.' || relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
    " WHERE relkind IN ('r', 'v') AND nspname NOT IN ('pg_catalog', 'information_schema')",
    "pg_attribute": "SELECT DISTINCT n.nspname || '.' || c.relname FROM pg_attribute"
    " JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace"
    " WHERE relkind IN ('r', 'v') AND nspname NOT IN ('pg_catalog', 'information_schema')",
}


def test_the_catalog_over_postgres(faces: Faces) -> None:
    views = {"shown.customers", "shown.spending"}
    for user, expected in (
        ("eu", {"pg.orders", "pg.customers"} | views),
        ("ada", {"crm.accounts"}),
        ("shown", {"shown.spending"}),
        ("none", set()),
    ):
        with faces.connect(user) as connection:
            for name, sql in LISTED.items():
                assert {row[0] for row in connection.execute(sql)} == expected, (user, name)
            schemas = {row[0] for row in connection.execute("SELECT nspname FROM pg_namespace WHERE oid > 16383")}
            assert schemas == {each.partition(".")[0] for each in expected}
            assert connection.execute("SELECT to_regclass('\"pg.hidden\".secrets')").fetchone() == (None,)
    with faces.connect("all") as connection:
        assert "pg.hidden.secrets" in {row[0] for row in connection.execute(LISTED["pg_class"])}


def test_who_listens_is_told_of_what_is_granted(faces: Faces) -> None:
    with faces.connect("eu") as eu, faces.connect("root") as root:
        for connection in (eu, root):
            connection.execute("LISTEN federation_invalidation")
        for name in ("crm.accounts", "pg.hidden.secrets", "crm", "pg.orders", "pg"):
            root.execute(f"CALL system.invalidate('{name}')")
        heard = [
            [note.payload for note in each.notifies(timeout=60, stop_after=count)]
            for each, count in ((eu, 2), (root, 5))
        ]
    assert heard[0] == ["pg.public.orders", "pg"]
    assert heard[1] == ["crm.main.accounts", "pg.hidden.secrets", "crm", "pg.public.orders", "pg"]


def test_what_is_taken_away_is_so_at_once(faces: Faces) -> None:
    """Of users and tokens that are connected, too."""
    file = faces.folder / "federation.toml"
    before = file.read_text()
    wanted = f"[users.us]\npassword = '{VERIFIER}'\nroles = "
    assert wanted in before
    with faces.connect("us") as connection:
        assert connection.execute(IDS).fetchone() == (1,)
        try:
            file.write_text(before.replace(wanted, f"{wanted}[] # "))
            assert faces.post("root", "/v1/catalog/reload", {}).status_code == 200
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(IDS)
            assert faces.post("us", "/v1/query", {"sql": IDS}).status_code == 403
            file.write_text(before.replace("[users.eu", "[users.europe"))
            assert faces.post("root", "/v1/catalog/reload", {}).status_code == 200
            assert faces.post("token eu", "/v1/query", {"sql": IDS}).status_code == 401
        finally:
            file.write_text(before)
            assert faces.post("root", "/v1/catalog/reload", {}).status_code == 200
        assert connection.execute(IDS).fetchone() == (1,)


def test_a_state_folder_of_before(tmp_path: Path, faces: Faces) -> None:
    """Its tokens have no users, and go on as they were."""
    state = tmp_path / "state"
    shutil.copytree(faces.folder / "state", state)
    with sqlite3.connect(state / "state.sqlite") as database:
        database.execute("ALTER TABLE tokens DROP COLUMN user")
    options = ("-c", str(faces.folder / "federation.toml"), "--state", str(state))
    assert "plain\tvalid" in run_here("token", "list", *options).stdout
    assert run_here("token", "create", "later", "--user", "eu", *options).returncode == 0
