"""`[roles]` in the catalog file, and what `federation check` says of it; bad input first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapters.errors import CatalogError
from catalog.config import Config, read_config
from catalog.policies import Caller
from federation.cli.main import main
from federation.engine import Engine
from tests.policies.world import VERIFIER, ask, catalog_text

SOURCES = """
[sources.pg]
adapter = "postgres"
uri = "postgresql://u@h/d"
[sources.crm]
adapter = "sqlite"
path = "crm.db"
[views."customer.overview"]
sql = "SELECT 1"
"""


def read(folder: Path, text: str) -> tuple[Config, list[str]]:
    file = folder / "federation.toml"
    file.write_text(SOURCES + text, encoding="utf-8")
    config, faults = read_config(file)
    return config, [str(fault) for fault in faults]


def filtered(expression: str) -> str:
    return f"[roles.a]\nrow_filters = {{ 'pg.orders' = '''{expression}''' }}"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[roles]\na = 1", "roles.a: this must be a table"),
        ("[roles.a]\ngrant = []", "roles.a.grant: unknown key"),
        ("[roles.a]\ngrants = 'pg.*'", "roles.a.grants: this must be a list of texts"),
        ("[roles.a]\ngrants = ['pg']", '"pg" cannot be granted'),
        ("[roles.a]\ngrants = ['pg.a.b.c']", '"pg.a.b.c" cannot be granted'),
        ("[roles.a]\ngrants = ['pg.a.b.*']", '"pg.a.b.*" cannot be granted'),
        ("[roles.a]\ngrants = ['']", '"" cannot be granted'),
        ("[roles.a]\ngrants = ['pg.*.b']", None),
        ("[roles.a]\ngrants = ['pgg.*']", 'there is no source "pgg"\nHint: did you mean pg?'),
        ("[roles.a]\ngrants = ['custmer.*']", 'there is no source "custmer"\nHint: did you mean customer?'),
        (
            "[roles.a]\ngrants = ['customer.overvew']",
            'there is no view "customer.overvew"\nHint: did you mean overview?',
        ),
        ("[roles.a]\ngrants = ['customer.overview.*']", 'there is no view "customer.overview.*"'),
        ("[roles.a]\ngrants = ['system.cache']", '"system.cache" cannot be granted'),
        ("[roles.a]\nrow_filters = 'x'", "roles.a.row_filters: this must be a table of texts"),
        ("[roles.a]\nrow_filters = { 'pg.orders' = 1 }", "roles.a.row_filters: this must be a table of texts"),
        ("[roles.a]\nrow_filters = { 'pg.orders' = ' ' }", "roles.a.row_filters: this must be a table of texts"),
        ("[roles.a]\nrow_filters = { orders = 'true' }", '"orders" is none'),
        ("[roles.a]\nrow_filters = { 'pgg.orders' = 'true' }", 'there is no source "pgg"\nHint: did you mean pg?'),
        ("[roles.a]\nrow_filters = { 'customer.overview' = 'true' }", '"customer.overview" is of a view'),
        ("[roles.a]\ncolumn_masks = { 'pg.orders' = 'NULL' }", '"pg.orders" is none'),
        ("[roles.a]\ncolumn_masks = { 'system.cache.x' = 'NULL' }", 'there is no source "system"'),
        (filtered("region ="), "this is not one expression (at character"),
        (filtered("true) OR (true"), "this is not one expression (at character"),
        (filtered("true; true"), "this is not one expression"),
        (filtered("true -- x\n, y"), "this is not one expression"),
        (filtered("true AS x"), "this is not one expression"),
        (filtered("(" * 3000), "this is not one expression"),
        (filtered("x" * 5000), "an expression has at most"),
        (filtered("id IN (SELECT id FROM pg.x)"), "a subquery is not allowed in a policy"),
        (filtered("EXISTS (FROM pg.x)"), "a subquery is not allowed in a policy"),
        (filtered("id = (SELECT 1)"), "a subquery is not allowed in a policy"),
        (filtered("id = ANY (SELECT 1)"), "a subquery is not allowed in a policy"),
        (filtered("id = $1"), "a parameter is not allowed in a policy"),
        (filtered("id = ?"), "a parameter is not allowed in a policy"),
        (filtered("sum(id) > 1"), "an aggregate or a window is not allowed"),
        (filtered("row_number() OVER () = 1"), "an aggregate or a window is not allowed"),
        (filtered("unnest([true])"), "a function that gives several rows is not allowed"),
        (filtered("COLUMNS(*) > 1"), "a list of columns is not allowed"),
        (filtered("orders.region = 1"), "orders.region has a qualifier"),
        (filtered("session_user = 'x'"), "who is logged in"),
        (filtered("current_attribute() = 'x'"), "current_attribute takes one literal"),
        (filtered("current_attribute(region) = 'x'"), "current_attribute takes one literal"),
        (filtered("current_attribute('a', 'b') = 'x'"), "current_attribute takes one literal"),
        (filtered("region = '${env:HOME}'"), "a policy cannot hold a ${…} reference"),
        (f"[users.a]\npassword = '{VERIFIER}'\nroles = ['analist']\n[roles.analyst]", "did you mean analyst?"),
        (f"[users.a]\npassword = '{VERIFIER}'\nroles = ['x']", 'there is no role "x"\nHint: known: none'),
        (f"[users.a]\npassword = '{VERIFIER}'\nroles = 'x'", "users.a.roles: this must be a list of texts"),
        (f"[users.a]\npassword = '{VERIFIER}'\nattributes = {{ a = 1 }}", "users.a.attributes: this must be a table"),
        ("[oidc.x]\nissuer='https://x'\naudience='a'\nroles_claim=['a']", "oidc.x.roles_claim: this must be a text"),
        (
            "[oidc.x]\nissuer='https://x'\naudience='a'\nattribute_claims='a'",
            "oidc.x.attribute_claims: this must be a list",
        ),
    ],
)
def test_a_fault(tmp_path: Path, text: str, fault: str | None) -> None:
    _, faults = read(tmp_path, text)
    assert (fault is None and not faults) or any(fault and fault in each for each in faults), faults


def test_what_is_read(tmp_path: Path) -> None:
    config, faults = read(
        tmp_path,
        f"""
        [roles.analyst]
        grants = ["customer.*", "pg.public.*", 'CRM."a.b"', "*"]
        row_filters = {{ "PG.public.orders" = "region = current_attribute('region') -- theirs" }}
        column_masks = {{ "crm.accounts.email" = "list_transform([email], x -> x || '*')[1]" }}
        [users.ada]
        password = "{VERIFIER}"
        roles = ["analyst", "analyst"]
        attributes = {{ region = "EU" }}
        [oidc.company]
        issuer = "https://login.example.org"
        audience = "federation"
        roles_claim = "realm_access.roles"
        attribute_claims = ["region"]
        """,
    )
    assert faults == []
    role = config.access.roles["analyst"]
    assert [str(grant) for grant in role.grants] == ["customer.*", "pg.public.*", 'CRM."a.b"', "*"]
    assert [policy.name for policy in role.policies] == ["pg.public.orders", "crm.accounts.email"]
    assert config.access.users["ada"].roles == ("analyst",)
    assert config.access.users["ada"].attributes == {"region": "EU"}
    assert config.access.providers[0].roles_claim == "realm_access.roles"
    assert config.redactor.scrub("EU") == "EU"  # an attribute is no secret


UNFIT = [
    ('row_filters = { "pg.oders" = "true" }', "there is no table pg.public.oders", "pg.public.orders"),
    ('row_filters = { "pg.pblic.orders" = "true" }', "there is no schema pg.pblic", "pg.public"),
    ('row_filters = { "pg.orders" = "regoin = \'x\'" }', "pg.public.orders has no column regoin", "region"),
    ('row_filters = { "pg.orders" = "no_such_function(id)" }', "does not fit the table", ""),
    ('row_filters = { "pg.orders" = "amount" }', "is no condition but INTEGER", ""),
    ('row_filters = { "pg.orders" = "my_agg(id) = 1" }', "does not fit the table", ""),
    ('column_masks = { "pg.customers.emial" = "NULL" }', "there is no column pg.customers.emial", "email"),
    ('column_masks = { "pg.customers.email" = "emial" }', "pg.public.customers has no column emial", "email"),
    ('column_masks = { "pg.customers.salary" = "entropy(salary)" }', "does not fit the table", ""),
]


GRANTED = ["pg.oders", "pg.nowhere", "pg.publc.*", "pg.publc.orders"]


def test_what_does_not_fit_is_refused_and_told_by_check(policies_folder: Path, capsys: Any) -> None:
    """A filter that names no table would leave the rows that it was meant for."""
    roles = "".join(f'[roles.unfit{i}]\ngrants = ["pg.*"]\n{policy}\n' for i, (policy, *_) in enumerate(UNFIT))
    roles += "".join(f'[roles.granted{i}]\ngrants = ["{name}"]\n' for i, name in enumerate(GRANTED))
    file = policies_folder / "unfit.toml"
    file.write_text(catalog_text((policies_folder / "uri").read_text(), roles=roles))
    assert main(["check", "-c", str(file)]) == 1
    said = capsys.readouterr().out
    for i, name in enumerate(GRANTED):
        assert f"granted{i}: {name}: there is no" in said
    assert "role    masked: 5 grants, 4 policies" in said
    assert said.count("FAULT") == len(UNFIT) + len(GRANTED)
    with Engine.open(file) as engine:
        for i, (policy, message, hint) in enumerate(UNFIT):
            assert f"role    unfit{i}: " in said
            assert message in said
            assert hint in said
            table = "customers" if "customers" in policy else "orders"
            with pytest.raises(CatalogError) as caught:
                ask(engine, f"SELECT count(*) FROM pg.{table}", Caller("oidc:x/a", "a", roles=(f"unfit{i}",)))
            assert message not in str(caught.value)
            assert "federation check" in str(caught.value)
            assert len(ask(engine, f"SELECT * FROM pg.{table}", "all")) > 0
