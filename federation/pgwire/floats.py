"""Floating-point numbers as PostgreSQL writes them: the shortest text that reads back equal.

Arrow writes the same digits. What differs is done value by value: names of what is not a number, an exponent from 10^15
(of float4 from 10^6) and below 10^-4, and large numbers whose shortest text lies exactly between two floats, which
PostgreSQL does not use.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal

import numpy as np
import pyarrow as pa

from federation.pgwire.segments import Array, Mask, Numbers, Values, as_binary, numbers, pc
from federation.pgwire.style import Style

_SMALLEST_PLAIN = 1e-4
_MOST_DIGITS = {"f4": 9, "f8": 17}
_MANTISSA = {"f4": 24, "f8": 53}
_ROUND = {"f4": 1e20, "f8": 1e40}  # no float beyond it is half way between two others of that few digits


def float4_text(array: Array, style: Style) -> Values:
    return _text(array, style, "f4", 6)


def float8_text(array: Array, style: Style) -> Values:
    return _text(array, style, "f8", 15)


def _text(array: Array, style: Style, kind: str, digits: int) -> Values:
    values = numbers(array, kind)
    if style.extra_float_digits <= 0:
        precision = max(digits + style.extra_float_digits, 1)
        return _each(values, lambda value: f"{value:.{precision}g}")
    size = np.abs(values)
    plain = (size >= _SMALLEST_PLAIN) & (size < (1e14 if kind == "f8" else 1e6)) | (size == 0)
    if kind == "f8":
        plain |= (size >= 1e15) & (size < 2.0**54)
    texts = as_binary(array.cast(pa.string()))
    if plain.all():
        return texts
    return _replaced(texts, ~plain, values, lambda value: _shortest(value, kind))


def _replaced(texts: Array, where: Mask, values: Numbers, text: Callable[[float], str]) -> Values:
    return pc.replace_with_mask(texts, pa.array(where), _each(values[where], text))


def _each(values: Numbers, text: Callable[[float], str]) -> Array:
    return pa.array([(text(value) if math.isfinite(value) else _name(value)).encode() for value in values.tolist()])


def _name(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _shortest(value: float, kind: str) -> str:
    """Of what Arrow writes in another way."""
    text = repr(value) if kind == "f8" else np.format_float_scientific(np.float32(value), trim="-", exp_digits=2)
    if kind == "f8" and 1 <= abs(value) < 1e15:
        return text.removesuffix(".0")
    if 2.0 ** (_MANTISSA[kind] + 1) <= abs(value) < _ROUND[kind]:
        for digits in range(len(text.partition("e")[0].replace(".", "").lstrip("-")), _MOST_DIGITS[kind] + 1):
            text = f"{value:.{digits - 1}e}"
            if _is_inside(text, value, kind):
                break
    return text


def _is_inside(text: str, value: float, kind: str) -> bool:
    """Whether a text is nearer to the value than to any other float, so that no rule of rounding is needed."""
    exact = int(abs(value))
    unit = 2 ** (exact.bit_length() - _MANTISSA[kind])
    off = int(Decimal(text).copy_abs()) - exact
    below = unit // 2 if exact & (exact - 1) == 0 else unit  # the floats below a power of two are closer together
    return bool(-below < 2 * off < unit)
