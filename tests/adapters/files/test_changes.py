"""Files that come, go and change."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pytest

from adapters import errors
from adapters.base import CancelToken, Partition, Predicate, ScanRequest
from adapters.files import FilesAdapter
from tests.adapters.files.helpers import (
    csv,
    main,
    rows,
    write_arrow,
    write_csv,
    write_json,
    write_parquet,
)
from tests.adapters.oracle import read_all


def touch(path: Path) -> None:
    """A later time than any before, however coarse the clock of the file system."""
    state = path.stat()
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1_000_000_000))


def test_new_files_and_new_rows_are_seen(folder: Path, files: Callable[..., FilesAdapter]) -> None:
    csv(folder, "i\n1\n")
    adapter = files("")
    assert rows(adapter, "t") == [{"i": 1}]
    csv(folder, "i\n1\n2\n")
    touch(folder / "t.csv")
    csv(folder, "i\n3\n", "new.csv")
    assert rows(adapter, "t") == [{"i": 1}, {"i": 2}]
    assert rows(adapter, "new") == [{"i": 3}]


@pytest.mark.parametrize("text", ["i\nx\n", "j\n1\n", "i,j\n1,2\n"])
def test_other_columns_than_the_plan_has_are_source_changed(
    folder: Path, files: Callable[..., FilesAdapter], text: str
) -> None:
    csv(folder, "i\n1\n")
    adapter = files("t.csv")
    adapter.get_table(main("t"))
    planned = adapter.plan_scan(ScanRequest(main("t"), ("i",)))
    csv(folder, text)
    touch(folder / "t.csv")
    with pytest.raises(errors.SourceChanged) as caught:
        adapter.local_sql(main("t"))
    assert caught.value.retryable
    if text != "i,j\n1,2\n":
        with pytest.raises(errors.Error):
            adapter.read(planned.partitions[0], CancelToken()).read_all()
    adapter.get_table(main("t"))
    assert adapter.local_sql(main("t"))


@pytest.mark.parametrize("ending", ["csv", "parquet", "json", "arrow"])
def test_a_file_that_is_gone(folder: Path, files: Callable[..., FilesAdapter], ending: str) -> None:
    write: dict[str, Callable[[pa.Table, Path], None]] = {
        "csv": write_csv,
        "parquet": write_parquet,
        "json": write_json,
        "arrow": write_arrow,
    }
    path = folder / f"t.{ending}"
    write[ending](pa.table({"i": [1]}), path)
    adapter = files(f"t.{ending}")
    adapter.get_table(main("t"))
    planned = adapter.plan_scan(ScanRequest(main("t"), ("i",)))
    path.unlink()
    with pytest.raises(errors.SourceUnavailable, match=rf"t\.{ending}"):
        read_all(adapter, planned)
    with pytest.raises((errors.TableNotFound, errors.SourceUnavailable)):
        adapter.local_sql(main("t"))
    with pytest.raises((errors.TableNotFound, errors.SourceUnavailable)):
        adapter.get_table(main("t"))


def test_a_scan_shows_its_request(folder: Path, files: Callable[..., FilesAdapter]) -> None:
    csv(folder, "i,s\n1,x\n2,y\n")
    adapter = files("t.csv")
    planned = adapter.plan_scan(ScanRequest(main("t"), ("s",), (Predicate("i", ">", (1,)),), limit=5))
    (partition,) = planned.partitions
    assert isinstance(partition, Partition)
    assert "LIMIT 5" in partition.request and '"i" >' in partition.request
    assert planned.residual == ()
    assert read_all(adapter, planned)["s"].to_pylist() == ["y"]
