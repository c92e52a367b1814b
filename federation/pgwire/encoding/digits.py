"""Numbers in decimal digits, by orjson, which writes an array of numpy's several times as fast as Arrow does."""

from __future__ import annotations

import numpy as np
import orjson

from federation.pgwire.encoding.segments import Numbers, Spans

_COMMA = ord(",")


def digits(values: Numbers) -> Spans:
    """Integers, or floats by the shortest text that reads back equal: with a fraction, and from 10^16 on and below
    10^-5 with an exponent. The text of what is no number is not said."""
    if not len(values):
        none = np.zeros(0, np.int32)
        return Spans(b"", none, none)
    data = bytearray(orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY))
    bounds = np.empty(len(values) + 1, np.int32)  # of [ and each comma and ]
    bounds[0], bounds[-1] = 0, len(data) - 1
    bounds[1:-1] = np.flatnonzero(np.frombuffer(data, np.uint8) == _COMMA)
    return Spans(data, bounds[:-1] + np.int32(1), bounds[1:])
