"""Parameters as JSON that keeps their types: what has none in JSON travels as `{"type": …, "value": …}`.

The server makes the same literal of each that the engine would make of the Python value.
"""

from __future__ import annotations

import datetime
import json
import math
import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from adapters.errors import ProgrammingError
from federation.statement import Parameters

MOST_DIGITS = 38  # of a DECIMAL


def encode_parameters(parameters: Parameters | None) -> Any:
    """What goes under `params`. Raises ProgrammingError for a value whose type SQL does not have."""
    if parameters is None:
        return None
    if isinstance(parameters, Mapping):
        for name in parameters:
            if not isinstance(name, str):
                raise ProgrammingError(f"the name of a parameter is text, not {type(name).__name__}")
        return {name: _encode(value) for name, value in parameters.items()}
    return [_encode(value) for value in parameters]


def to_json(document: Mapping[str, Any]) -> bytes:
    """Raises ProgrammingError for half a surrogate pair."""
    try:
        return json.dumps(document, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError as exc:
        raise ProgrammingError("the statement or a parameter holds half a surrogate pair, which is not text") from exc


def _encode(value: Any) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else _typed("DOUBLE", str(float(value)))
    if isinstance(value, list | tuple):
        return [_encode(each) for each in value]
    if isinstance(value, Decimal):
        return _decimal(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return _typed("BLOB", "".join(f"\\x{byte:02X}" for byte in bytes(value)))
    if isinstance(value, uuid.UUID):
        return _typed("UUID", str(value))
    if isinstance(value, datetime.datetime):
        return _typed("TIMESTAMPTZ" if value.tzinfo else "TIMESTAMP", value.isoformat(sep=" "))
    if isinstance(value, datetime.date):
        return _typed("DATE", value.isoformat())
    if isinstance(value, datetime.time):
        return _typed("TIMETZ" if value.tzinfo else "TIME", value.isoformat())
    raise ProgrammingError(f"a parameter of type {type(value).__name__} has no SQL type", hint="pass it as text")


def _decimal(value: Decimal) -> Any:
    """The type that DuckDB gives to the number when it is written in a statement."""
    if not value.is_finite():
        raise ProgrammingError(f"DECIMAL has no {value}", hint="pass a float")
    text = format(value, "f")
    if "." not in text:
        return int(text)
    whole, _, fraction = text.lstrip("-").partition(".")
    if len(whole) + len(fraction) > MOST_DIGITS:
        raise ProgrammingError(f"a DECIMAL has at most {MOST_DIGITS} digits", hint="pass a float, or text")
    return _typed(f"DECIMAL({len(whole) + len(fraction)},{len(fraction)})", text)


def _typed(kind: str, text: str) -> dict[str, str]:
    return {"type": kind, "value": text}
