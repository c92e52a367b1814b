"""A web API that is kept warm: by what is new, by what it says of its pages, and never a wrong answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from federation.engine import Engine
from federation.warming import Warmer
from tests.adapters.rest_server import TOKEN, Resource, RestServer
from tests.cache.test_system_table import rows as shown
from tests.cache.world import Clock, ask, engine_of

CATALOG = """
[settings]
cache_directory = "{folder}"

[sources.crm]
adapter = "rest"
base_url = "{url}"
allow_private = true
auth = {{ kind = "bearer", token = "{token}" }}
retry = {{ attempts = 1 }}
cache = {{ ttl = "1h", stale_if_error = "1h" }}

[sources.crm.tables.deals]
path = "/deals"
records = "$.items"
paginate = {paging}
page_size = {{ param = "limit", max = 10 }}
primary_key = ["id"]
columns = {{ id = "int64", name = "string", at = "timestamptz" }}
filters = {{ at = {{ param = "since", ops = [">="], exact = true }} }}

[tables."crm.deals"]
cache = {{ {refresh} }}
"""
PAGING = {
    "offset": '{ kind = "offset", param = "offset", total = "$.total" }',
    "cursor": '{ kind = "cursor", param = "cursor", next = "$.next", has_more = "$.has_more" }',
}
BY_KEY = 'refresh = "every 15m", cursor = "at", key = ["id"], full = "every 2h"'
ROWS = 35


def deal(number: int, at: int, name: str = "") -> dict[str, Any]:
    """Changed in that minute of a day."""
    return {"id": number, "name": name or f"d{number}", "at": f"2024-05-01T{at // 60:02}:{at % 60:02}:00Z"}


class Deals:
    """What the API has, what was asked of it by the last refresh."""

    def __init__(self, server: RestServer, engine: Engine, clock: Clock) -> None:
        self.server, self.engine, self.clock = server, engine, clock
        self.rows = server.resources["/deals"].rows
        self.asked: list[str] = []
        self._warmer = Warmer(engine)

    def refresh(self, seconds: float = 901.0) -> bool:
        self.clock.now += seconds
        self.server.journal.clear()
        tried = [self._warmer.refresh(each) for each in self.engine.pins]
        self.asked = list(self.server.journal)
        return any(tried)

    def change(self, number: int, at: int, name: str) -> None:
        (place,) = [place for place, row in enumerate(self.rows) if row["id"] == number]
        self.rows[place] = deal(number, at, name)

    def answers_truly(self) -> bool:
        self.server.journal.clear()
        found = ask(self.engine, "SELECT id, name FROM crm.deals ORDER BY id")
        return found == sorted((row["id"], row["name"]) for row in self.rows) and not self.server.journal


@pytest.fixture(params=PAGING)
def server(request: pytest.FixtureRequest) -> Iterator[RestServer]:
    rows = [deal(number, number) for number in range(ROWS)]
    resource = Resource(rows, paging=request.param, page_size=10, filters={"since": ("at", ">=")})
    with RestServer({"/deals": resource}) as made:
        yield made


def deals_of(server: RestServer, folder: Path, clock: Clock, refresh: str) -> Any:
    paging = PAGING[server.resources["/deals"].paging]
    text = CATALOG.format(folder=folder / "cache", url=server.url, token=TOKEN, paging=paging, refresh=refresh)
    return engine_of(folder, clock, text)


def test_what_is_new_or_changed_is_fetched_and_nothing_else(server: RestServer, tmp_path: Path, clock: Clock) -> None:
    with deals_of(server, tmp_path, clock, BY_KEY) as engine:
        deals = Deals(server, engine, clock)
        assert deals.refresh(0)
        assert deals.answers_truly()
        deals.rows.append(deal(100, 34))  # at the boundary
        deals.rows.insert(0, deal(101, 50))
        deals.change(3, 51, "changed")
        assert deals.refresh()
        assert len(deals.asked) == 1 and "since=" in deals.asked[0]
        assert deals.answers_truly()
        deals.rows.append(deal(102, 40))  # late: below what was seen
        deals.change(3, 52, "again")
        for number in range(200, 220):
            deals.rows.append(deal(number, 60))
        assert deals.refresh()
        assert len(deals.asked) == 3 and all("since=" in each for each in deals.asked)  # pages
        assert deals.answers_truly()
        assert deals.refresh()
        assert deals.answers_truly()


def test_rows_that_are_only_added(server: RestServer, tmp_path: Path, clock: Clock) -> None:
    with deals_of(server, tmp_path, clock, 'refresh = "every 15m", cursor = "at"') as engine:
        deals = Deals(server, engine, clock)
        for number in range(100, 104):
            assert deals.refresh()
            assert deals.answers_truly()
            deals.rows += [deal(number, number), deal(number + 50, number)]
        assert deals.refresh()
        assert len(deals.asked) == 1
        assert deals.answers_truly()


def test_a_failure_leaves_the_rows_of_before(server: RestServer, tmp_path: Path, clock: Clock) -> None:
    with deals_of(server, tmp_path, clock, BY_KEY) as engine:
        deals = Deals(server, engine, clock)
        deals.refresh(0)
        before = ask(engine, "SELECT id, name, at FROM crm.deals ORDER BY id")
        deals.rows += [deal(number, 60) for number in range(200, 220)]
        for fault in ("503", "cut", "html", "disconnect"):
            server.faults += ["", fault]  # the second page
            assert deals.refresh(901 if fault == "503" else 60)
            assert shown(engine)[0]["refresh_error"], fault
            server.faults.clear()
            assert ask(engine, "SELECT id, name, at FROM crm.deals ORDER BY id") == before
        assert deals.refresh(90)
        assert shown(engine)[0]["refresh_error"] is None
        assert deals.answers_truly()


def test_deletions_show_with_a_full_refresh(server: RestServer, tmp_path: Path, clock: Clock) -> None:
    with deals_of(server, tmp_path, clock, BY_KEY) as engine:
        deals = Deals(server, engine, clock)
        deals.refresh(0)
        del deals.rows[3]
        deals.refresh()
        assert not deals.answers_truly()
        deals.refresh(7200)
        assert deals.answers_truly()
        assert not any("since=" in each for each in deals.asked)


def test_pages_that_have_not_changed_are_not_fetched(server: RestServer, tmp_path: Path, clock: Clock) -> None:
    server.validator = "etag"
    with deals_of(server, tmp_path, clock, 'refresh = "every 15m"') as engine:
        deals = Deals(server, engine, clock)
        deals.refresh(0)
        for _ in range(5):
            server.unchanged.clear()
            assert deals.refresh()
            assert len(server.unchanged) == len(deals.asked) > 3
            (row,) = shown(engine)
            assert (row["state"], row["age"], row["refresh_error"]) == ("fresh", 0, None)
        deals.change(20, 60, "changed")
        assert deals.refresh()
        assert deals.answers_truly()
