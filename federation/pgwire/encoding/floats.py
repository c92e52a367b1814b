"""Floating-point numbers as PostgreSQL writes them: the shortest text that reads back equal.

`digits` writes the same, but for the fraction that whole numbers have there, and for exponents, which PostgreSQL has
from 10^15 (for float4 from 10^6) and below 10^-4. What has one is written value by value, as are the names of what is
not a number, and large numbers whose shortest text lies exactly between two floats, which PostgreSQL does not use.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal

import numpy as np
import pyarrow as pa

from federation.pgwire.encoding.digits import digits
from federation.pgwire.encoding.segments import Array, Numbers, Values, numbers, pc, varying
from federation.pgwire.style import Style

_SMALLEST_PLAIN = 1e-4
_PLAIN = {"f4": 1e6, "f8": 1e15}  # no exponent below
_MANTISSA = {"f4": 24, "f8": 53}
_ROUND = {"f4": 1e20, "f8": 1e40}  # no float beyond it is half way between two others of that few digits


def float4_text(array: Array, style: Style) -> Values:
    return _text(array, style, "f4", 6)


def float8_text(array: Array, style: Style) -> Values:
    return _text(array, style, "f8", 15)


def _text(array: Array, style: Style, kind: str, precision: int) -> Values:
    values = numbers(array, kind)
    if style.extra_float_digits <= 0:
        shown = max(precision + style.extra_float_digits, 1)
        return _each(values, lambda value: f"{value:.{shown}g}")
    size = np.abs(values)
    texts = digits(values)
    whole = values == np.rint(values)
    if whole.any():
        texts = texts.shortened(np.where(whole, len(".0"), 0))
    other = ~((size >= _SMALLEST_PLAIN) & (size < _PLAIN[kind]) | (size == 0))
    if not other.any():
        return texts
    texts = texts.empty_where(other)
    return pc.replace_with_mask(
        varying(texts), pa.array(other), _each(values[other], lambda value: _shortest(value, kind))
    )


def _each(values: Numbers, text: Callable[[float], str]) -> Array:
    return pa.array([(text(value) if math.isfinite(value) else _name(value)).encode() for value in values.tolist()])


def _name(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _shortest(value: float, kind: str) -> str:
    if kind == "f8" and 1 <= abs(value) < 1e15:
        return repr(value)  # has an exponent from 10^16
    text = repr(value) if kind == "f8" else _scientific(str(np.float32(value)))
    if 2.0 ** (_MANTISSA[kind] + 1) <= abs(value) < _ROUND[kind]:
        digits = len(text.partition("e")[0].replace(".", "").lstrip("-"))
        while not _is_inside(text, value, kind):
            text = f"{value:.{digits}e}"
            digits += 1
    return text if "e" in text else _scientific(text)


def _scientific(text: str) -> str:
    mantissa, _, exponent = f"{Decimal(text).normalize():e}".partition("e")
    return f"{mantissa}e{int(exponent):+03}"


def _is_inside(text: str, value: float, kind: str) -> bool:
    """Whether a text is nearer to the value than to any other float, so that no rule of rounding is needed."""
    exact = int(abs(value))
    unit = 2 ** (exact.bit_length() - _MANTISSA[kind])
    off = int(Decimal(text).copy_abs()) - exact
    below = unit // 2 if exact & (exact - 1) == 0 else unit  # the floats below a power of two are closer together
    return bool(-below < 2 * off < unit)
