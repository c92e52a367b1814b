"""The conformance suite over each format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.csv
import pytest

from adapters.base import TableName
from adapters.files import FilesAdapter
from tests.adapters.conformance import NUMBERS, PEOPLE, AdapterConformance
from tests.adapters.files.helpers import (
    write_arrow,
    write_csv,
    write_json,
    write_ndjson,
    write_parquet,
    write_stream,
)


class FilesConformance(AdapterConformance):
    ending: ClassVar[str]
    write: ClassVar[staticmethod[[pa.Table, Path], None]]

    @pytest.fixture(scope="class")
    @classmethod
    def filled(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        folder = tmp_path_factory.mktemp("files")
        cls.write(PEOPLE, folder / f"people{cls.ending}")
        cls.write(NUMBERS, folder / f"numbers{cls.ending}")
        return folder

    @pytest.fixture
    def adapter(self, filled: Path) -> Iterator[FilesAdapter]:
        types = {"id": "BIGINT", "score": "DOUBLE", "born": "DATE"}
        made = FilesAdapter("files", {"path": str(filled / f"*{self.ending}"), "types": types})
        yield made
        made.close()

    @pytest.fixture
    def vanishing(self, filled: Path) -> tuple[TableName, Callable[[], None]]:
        path = filled / f"doomed{self.ending}"
        type(self).write(PEOPLE, path)
        return TableName("main", "doomed"), path.unlink


class TestParquet(FilesConformance):
    ending = ".parquet"
    write = staticmethod(write_parquet)


class TestCsv(FilesConformance):
    ending = ".csv"
    write = staticmethod(write_csv)


class TestNdjson(FilesConformance):
    ending = ".ndjson"
    write = staticmethod(write_ndjson)


class TestJson(FilesConformance):
    ending = ".json"
    write = staticmethod(write_json)


class TestArrow(FilesConformance):
    ending = ".arrow"
    write = staticmethod(write_arrow)


class TestArrowStream(FilesConformance):
    ending = ".feather"
    write = staticmethod(write_stream)
