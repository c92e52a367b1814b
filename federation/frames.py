"""A result as a pandas or a polars frame.

pandas: whole numbers and booleans are the nullable dtypes (Int64, boolean), so that a NULL does not turn them into
floats; what pandas has no type for (decimals, dates, times, UUIDs, nested values) are the Python values of a cursor.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute

from adapters.errors import DataError, InterfaceError, NotSupportedError
from federation.quoting import quoted
from federation.text import PER_DAY, to_text
from federation.values import EPOCH_DAY, python_values

if TYPE_CHECKING:
    import pandas
    import polars

pc: Any = pyarrow.compute
FIRST_DAY, LAST_DAY = (day.toordinal() - EPOCH_DAY for day in (datetime.date.min, datetime.date.max))
INFINITE = {64: (2**63 - 1, -(2**63) + 1), 32: (2**31 - 1, -(2**31) + 1)}  # DuckDB's, by the width of the type


def pandas_frame(batches: Iterable[pa.RecordBatch], schema: pa.Schema, types: Sequence[str]) -> pandas.DataFrame:
    """Python values are made of a batch as it comes, while the next ones are on their way."""
    pd: Any = _needed("pandas")
    arrays: list[list[Any]] = [[] for _ in schema]
    objects: dict[int, list[Any]] = {
        index: []
        for index, field in enumerate(schema)
        if not (_is_native(field.type) or pa.types.is_date32(field.type))
    }
    for batch in batches:
        for index, array in enumerate(batch.columns):
            if index in objects:
                objects[index] += python_values(array, schema.field(index).name, types[index])
            else:
                arrays[index].append(array)
    columns = {
        index: pd.Series(objects[index], dtype=object)
        if index in objects
        else _series(pd, pa.chunked_array(arrays[index], field.type), field.name, types[index])
        for index, field in enumerate(schema)
    }
    frame: pandas.DataFrame = pd.DataFrame(columns, copy=False)
    frame.columns = pd.Index(schema.names)
    return frame


def _series(pd: Any, column: Any, name: str, type_name: str) -> Any:
    """A column that pandas takes from Arrow."""
    if pa.types.is_date32(column.type):
        if _within_python(column):
            return column.to_pandas(date_as_object=True)
        values = [value for chunk in column.chunks for value in python_values(chunk, name, type_name)]
        return pd.Series(values, dtype=object)
    _refuse_infinity(column, name)
    masked: dict[pa.DataType, Any] = {
        **{pa.int8(): pd.Int8Dtype(), pa.int16(): pd.Int16Dtype(), pa.int32(): pd.Int32Dtype()},
        **{pa.int64(): pd.Int64Dtype(), pa.uint8(): pd.UInt8Dtype(), pa.uint16(): pd.UInt16Dtype()},
        **{pa.uint32(): pd.UInt32Dtype(), pa.uint64(): pd.UInt64Dtype(), pa.bool_(): pd.BooleanDtype()},
    }
    # A mapper, whatever it maps, makes pandas copy text into objects.
    return column.to_pandas(types_mapper=masked.get if column.type in masked else None)


def polars_frame(table: pa.Table) -> polars.DataFrame:
    pl: Any = _needed("polars")
    columns = [_for_polars(table.column(index), name) for index, name in enumerate(table.column_names)]
    frame: polars.DataFrame = pl.from_arrow(pa.table(columns, names=table.column_names))
    return frame


def _for_polars(column: Any, name: str) -> Any:
    """UUID and JSON become text; a type that polars lacks is refused."""
    kind = column.type
    if pa.types.is_interval(kind):
        raise NotSupportedError(f"polars has no type for the INTERVAL column {quoted(name)}", hint=_cast(name))
    if isinstance(kind, pa.UuidType | pa.JsonType):
        return pa.chunked_array([to_text(chunk) for chunk in column.chunks], pa.string())
    _refuse_infinity(column, name)
    if pa.types.is_time64(kind) and pc.any(pc.equal(column.cast(pa.int64()), PER_DAY[kind.unit])).as_py():
        raise DataError(f"column {quoted(name)} has the time 24:00:00, which polars cannot hold", hint=_cast(name))
    return column


def _needed(package: str) -> Any:
    try:
        return import_module(package)
    except ModuleNotFoundError as exc:
        raise InterfaceError(f"this needs the package {package}", hint=f"pip install {package}") from exc


def _is_native(kind: pa.DataType) -> bool:
    kinds = pa.types
    return (kinds.is_integer(kind) or kinds.is_boolean(kind) or kinds.is_floating(kind)) or (
        kinds.is_timestamp(kind) or kinds.is_string(kind) or kinds.is_large_string(kind)
    )


def _within_python(column: Any) -> bool:
    """Whether all are days of the years 1 to 9999, which `datetime.date` holds."""
    ends = pc.min_max(column.cast(pa.int32())).as_py()
    return ends["min"] is None or (ends["min"] >= FIRST_DAY and ends["max"] <= LAST_DAY)


def _refuse_infinity(column: Any, name: str) -> None:
    """Frames have no infinite dates; they would show a day in a far year."""
    if not (pa.types.is_timestamp(column.type) or pa.types.is_date32(column.type)):
        return
    width = column.type.bit_width
    numbers = column.cast(pa.int64() if width == 64 else pa.int32())
    if pc.any(pc.is_in(numbers, pa.array(INFINITE[width], numbers.type))).as_py():
        raise DataError(f"column {quoted(name)} has an infinite date, which a frame cannot hold", hint=_cast(name))


def _cast(name: str) -> str:
    return f"CAST({quoted(name)} AS VARCHAR)"
