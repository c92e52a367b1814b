"""Many clients: no error, no leak, an event loop that is never held up. At full length in `make test-all`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.http.load import descriptors, late, memory, run_load, waited
from tests.http.running import start_server, write_sample
from tests.waiting import eventually

LATE = 0.1  # seconds that the event loop is never held up


LONG = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.mark.parametrize(
    ("clients", "seconds", "options"),
    [(40, 4.0, ()), pytest.param(200, 60.0, (), marks=LONG), pytest.param(200, 20.0, ("--workers", "2"), marks=LONG)],
)
def test_load(tmp_path: Path, clients: int, seconds: float, options: tuple[str, ...]) -> None:
    write_sample(tmp_path)
    with start_server(tmp_path, *options) as server:
        asyncio.run(run_load(server, clients, 2.0))
        eventually(lambda: server.client.get("/v1/queries", params={"state": "running"}).json()["queries"] == [])
        before = memory(server), descriptors(server)
        late_before, _ = late(server, LATE)
        waited_before = waited(server)
        load = asyncio.run(run_load(server, clients, seconds))
        eventually(lambda: server.client.get("/v1/queries", params={"state": "running"}).json()["queries"] == [])
        assert load.errors == []
        assert load.large > 0
        assert load.left > 0
        eventually(lambda: descriptors(server) <= before[1] + 5)
        assert memory(server) < before[0] + (300 << 20)
        late_after, looked = late(server, LATE)
        # On a machine that is busy with other things, whoever wants a processor is late as well.
        others = (waited(server) - waited_before) / LATE
        assert late_after - late_before <= looked // 100 + others
