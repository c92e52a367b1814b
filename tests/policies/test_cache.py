"""Callers share the fragments of the cache, and each sees them through their own roles."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from catalog.policies import user_caller
from federation.engine import Engine
from federation.progress import State
from tests.policies.world import ask, catalog_text


@pytest.fixture(scope="module")
def cached(policies_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    text = f'[settings]\ncache_directory = "{tmp_path_factory.mktemp("cache")}"\n'
    text += catalog_text((policies_folder / "uri").read_text(), policy='cache = { ttl = "1d" }')
    file = policies_folder / "cached.toml"
    file.write_text(text)
    with Engine.open(file) as engine:
        yield engine


def states(engine: Engine, sql: str, who: str) -> set[State]:
    with engine.query(sql, caller=user_caller(who)) as result:
        result.read_all()
        return {each.state for each in result.freshness()}


def test_one_fragment_answers_everybody(cached: Engine) -> None:
    """The whole table, fetched by one who may see all of it."""
    assert len(ask(cached, "SELECT * FROM pg.orders", "all")) == 60
    assert len(ask(cached, "SELECT * FROM pg.customers", "all")) == 5
    for _ in range(2):
        for who, count in (("eu", 20), ("us", 20), ("both", 40), ("all", 60), ("nowhere", 0)):
            sql = "SELECT * FROM pg.orders"
            assert len(ask(cached, sql, who)) == count
            assert states(cached, sql, who) <= {State.FRESH}
        for who, email in (("mask", "***@example.org"), ("all", "person3@example.org"), ("null", None)):
            sql = "SELECT email, name FROM pg.customers WHERE id = 3"
            assert ask(cached, sql, who) == [(email, "name3")]
            assert states(cached, sql, who) == {State.FRESH}
    assert cached.cache is not None
    assert len(list(cached.cache.store.entries())) == 2


def test_what_was_fetched_for_one_is_not_all_for_another(cached: Engine) -> None:
    """Fragments of filtered and masked rows are known by what they are."""
    cached.invalidate("pg")
    sql = "SELECT id, amount FROM pg.orders"
    for who, count in (("eu", 20), ("us", 20), ("all", 60), ("eu", 20), ("nowhere", 0), ("both", 40)):
        assert len(ask(cached, sql, who)) == count
    cached.invalidate("pg")
    found = [
        ask(cached, "SELECT email FROM pg.customers WHERE id = 3", who)[0][0] for who in ("mask", "all", "null", "mask")
    ]
    assert found == ["***@example.org", "person3@example.org", None, "***@example.org"]
    assert ask(cached, "SELECT id FROM pg.customers WHERE email = 'person3@example.org'", "mask") == []
