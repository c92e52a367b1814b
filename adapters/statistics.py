"""Values as sources print them in their statistics, read back as Python values; what cannot be read is unknown."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from math import isnan
from typing import Any

import pyarrow as pa


def extremes(texts: Iterable[str], type_: pa.DataType) -> tuple[Any, Any]:
    """The smallest and the largest of some numbers or dates; None twice when one of the texts cannot be read."""
    try:
        values = [_value(text, type_) for text in texts]
    except (ValueError, InvalidOperation):
        return None, None
    return (min(values), max(values)) if values and None not in values else (None, None)


def _value(text: str, type_: pa.DataType) -> Any:
    """None for other types, and for what has no place on the line of numbers."""
    if pa.types.is_integer(type_):
        return int(text)
    if pa.types.is_floating(type_):
        value = float(text)
        return None if isnan(value) else value
    if pa.types.is_decimal(type_):
        number = Decimal(text)
        return number if number.is_finite() else None
    if pa.types.is_date(type_):
        return date.fromisoformat(text)
    return datetime.fromisoformat(text) if pa.types.is_timestamp(type_) else None
