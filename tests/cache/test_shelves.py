"""Where fragments are filed: short lists, however many there are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from cache.domains import domain_of
from cache.index import Index, open_index
from cache.keys import FragmentKey
from cache.regions import Region
from cache.shelves import MOST, on_shelf, put_on_shelf, take_off_shelf
from cache.store import Store
from tests.cache.world import Clock

SCHEMA = pa.schema([("id", pa.int64())])


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    made = open_index(tmp_path, most_bytes=None, seconds=1.0)
    yield made
    made.close()


def test_the_newest_are_kept(index: Index) -> None:
    for number in range(MOST + 20):
        put_on_shelf(index, "a", str(number))
    put_on_shelf(index, "b", "0")
    put_on_shelf(index, "a", "100")
    found = on_shelf(index, "a")
    assert len(found) == len(set(found)) == MOST
    assert found[-2:] == [str(MOST + 19), "100"]
    assert on_shelf(index, "b") == ["0"]
    take_off_shelf(index, "b", "0")
    take_off_shelf(index, "b", "1")
    assert on_shelf(index, "b") == []
    assert [key for key in index.iterkeys() if "b" in str(key)] == []


def region(condition: str, *values: int) -> Region:
    domain = domain_of(pa.int64(), condition, values)
    assert domain is not None
    return Region("a family", {"id": "id"}, {"id": domain})


def put(store: Store, name: str, filed: Region) -> FragmentKey:
    key = FragmentKey("src", "me", name, SCHEMA)
    recording = store.record(key, SCHEMA, ("src.t",), None, filed)
    assert recording is not None
    recording.append(pa.record_batch([pa.array([1])], schema=SCHEMA))
    recording.commit(1.0)
    return key


def test_what_goes_is_not_found(tmp_path: Path) -> None:
    store = Store(tmp_path / "cache", clock=Clock())
    wide, one = region(">", 0), region("=", 5)
    first, second = put(store, "wide", wide), put(store, "one", one)
    put(store, "other", region("=", 6))
    assert {each.digest for each in store.filed(first, [one])} == {first.digest, second.digest}
    assert {each.digest for each in store.filed(first, [wide])} == {first.digest}
    assert store.filed(FragmentKey("src", "another", "wide", SCHEMA), [one]) == []
    put(store, "one", one)
    assert len(store.filed(first, [one])) == 2
    for entry in store.filed(first, [wide]):
        store.remove(entry)
    assert {each.digest for each in store.filed(first, [one])} == {second.digest}
    for path in (tmp_path / "cache").rglob("*.arrow"):
        path.unlink()
    store.close()
    again = Store(tmp_path / "cache", clock=Clock())
    assert again.filed(first, [one]) == []
    again.close()
