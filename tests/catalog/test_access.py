"""Users, OpenID providers and callbacks in the catalog file, and the verifiers of passwords."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog.config import Config, read_config
from catalog.scram import Verifier

# Of the password "pencil", made by PostgreSQL's rules for the salt of RFC 7677's example.
PENCIL = (
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
)


def read(tmp_path: Path, text: str) -> tuple[Config, list[str]]:
    file = tmp_path / "federation.toml"
    file.write_text(text, encoding="utf-8")
    config, faults = read_config(file)
    return config, [str(fault) for fault in faults]


def test_the_verifier_of_rfc_7677() -> None:
    verifier = Verifier.parse(PENCIL)
    assert verifier is not None
    assert verifier.matches("pencil")
    assert not verifier.matches("Pencil")
    assert not verifier.matches("")
    assert str(verifier) == PENCIL


@pytest.mark.parametrize(
    ("made_of", "typed"),
    [("x", "x"), ("ﬁne", "fine"), ("a\u00a0b", "a b"), ("é", "é"), ("\u0007ä", "\u0007ä"), ("אa", "אa")],
)
def test_passwords_are_prepared_as_rfc_4013_says(made_of: str, typed: str) -> None:
    assert Verifier.make(made_of).matches(typed)


@pytest.mark.parametrize(
    "text",
    [
        "pencil",
        "",
        PENCIL[:-1],
        PENCIL.replace("4096", "0"),
        PENCIL.replace("4096", "9999999"),
        PENCIL.replace("SHA-256", "SHA-1"),
        PENCIL.replace("WG5d", "WG5"),
        PENCIL + " ",
    ],
)
def test_what_is_no_verifier(text: str) -> None:
    assert Verifier.parse(text) is None


def test_users_providers_and_callbacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERIFIER", PENCIL)
    config, faults = read(
        tmp_path,
        """
        [users.ada]
        password = "${env:VERIFIER}"
        [users."Ada"]
        password = "${env:VERIFIER}"
        [oidc.company]
        issuer = "https://login.example.org"
        audience = "federation"
        [callbacks]
        hosts = ["Hooks.example.org"]
        secret = "0123456789abcdef01234567"
        """,
    )
    assert faults == []
    assert set(config.access.users) == {"ada", "Ada"}
    assert config.access.users["ada"].verifier.matches("pencil")
    assert config.access.providers[0].user_claim == "sub"
    assert config.access.callbacks.hosts == ("hooks.example.org",)
    assert "wfPL" not in repr(config.access)
    assert "01234567" not in repr(config.access)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[users]\nada = 'x'", "users.ada: this must be a table"),
        ("[users.ada]", "users.ada.password: this key is missing"),
        ("[users.ada]\npassword = 'pencil'", "users.ada.password: this is no verifier"),
        ("[users.ada]\npassword = 3", "users.ada.password: this must be a text"),
        ("[users.ada]\npasword = 'x'", "users.ada.pasword: unknown key"),
        (f"[users.'a:b']\npassword = '{PENCIL}'", "cannot hold a colon"),
        ("[oidc.x]\nissuer = 'https://x.org'", "oidc.x.audience: this key is missing"),
        ("[oidc.x]\nissuer = 'http://x.org'\naudience = 'f'", "oidc.x.issuer: this must be an https:// address"),
        ("[oidc.x]\nissuer = 'x.org'\naudience = 'f'", "oidc.x.issuer: this must be an https:// address"),
        ("[callbacks]\nhosts = ['x']", "callbacks.secret: this key is missing"),
        ("[callbacks]\nsecret = 'short'", "callbacks.secret: this must have 24 characters"),
        ("[callbacks]\nhost = 'x'\nsecret = '0123456789abcdef01234567'", "callbacks.host: unknown key"),
    ],
)
def test_a_fault(tmp_path: Path, text: str, fault: str) -> None:
    _, faults = read(tmp_path, text)
    assert any(fault in each for each in faults), faults


def test_a_wrong_password_is_not_shown(tmp_path: Path) -> None:
    _, faults = read(tmp_path, "[users.ada]\npassword = 'my-plain-password'")
    assert faults
    assert not any("my-plain-password" in fault for fault in faults)
