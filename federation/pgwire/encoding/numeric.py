"""numeric: as text, and in groups of four decimal digits, which is its binary form."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import pyarrow as pa

from adapters.errors import NumericOutOfRange
from federation.pgwire.encoding.digits import digits
from federation.pgwire.encoding.segments import (
    Array,
    Numbers,
    Spans,
    Values,
    as_binary,
    binary_array,
    null_mask,
    pc,
)
from federation.pgwire.style import Style

_MOST_SCALE = 17  # of which the point, too, has room in an int64
_MOST = 9 * 10**17  # ten times that is an int64
_NEGATIVE = 0x4000
_LOW = np.uint64(2**32 - 1)
_GROUP = 10_000
_MOST_DIGITS = 131_072  # before the point


def numeric_text(array: Array, _style: Style) -> Values:
    kind = array.type
    if pa.types.is_decimal128(kind) and 0 <= kind.scale <= _MOST_SCALE:
        halves = _halves(array).view(np.int64)
        low = np.ascontiguousarray(halves[:, 0])
        if (halves[:, 1] == low >> 63).all() and (low <= _MOST).all() and (low >= -_MOST).all():
            return _short_text(low, kind.scale)
    texts = array.cast(pa.string())
    if not pa.types.is_decimal(kind) or kind.scale <= 6:
        return as_binary(texts)
    short = pc.match_substring(texts, "E").fill_null(False)  # Arrow writes small numbers with an exponent
    if not pc.any(short).as_py():
        return as_binary(texts)
    return as_binary(pc.replace_with_mask(texts, short, _plain(array.filter(short))))


def _short_text(values: Numbers, scale: int) -> Spans:
    """Of decimals below 10^18: written with a zero more in front of the fraction, where the point then gets its place,
    and with 1 in place of 0 before it."""
    if not scale or not len(values):
        return digits(values)
    size = np.abs(values)
    whole = size // 10**scale
    shown = size + whole * (9 * 10**scale)
    below_1 = np.flatnonzero(whole == 0)
    shown[below_1] += 10 ** (scale + 1)
    sign = values >> 63
    texts = digits((shown ^ sign) - sign)
    written = np.frombuffer(texts.data, np.uint8)
    points = texts.ends.astype(np.intp) - (scale + 1)
    written[points] = ord(".")
    written[points[below_1] - 1] = ord("0")
    return texts


def _plain(array: Array) -> Array:
    """The text of decimals below 1."""
    scale = array.type.scale
    whole = pa.Array.from_buffers(pa.decimal128(38, 0), len(array), array.buffers(), offset=array.offset)
    digits = whole.cast(pa.string())
    sign = pc.if_else(pc.starts_with(digits, "-"), "-0.", "0.")
    return pc.binary_join_element_wise(sign, pc.utf8_lpad(pc.utf8_ltrim(digits, "-"), scale, "0"), "")


def numeric_binary(array: Array) -> Values:
    kind = array.type
    if pa.types.is_string(kind):
        return _from_texts(array)
    if pa.types.is_integer(kind):
        array, kind = array.cast(pa.decimal128(20, 0)), pa.decimal128(20, 0)
    elif not pa.types.is_decimal128(kind):
        kind = pa.decimal128(kind.precision, kind.scale)
        array = array.cast(kind)
    halves = _halves(array)
    negative = halves[:, 1].view(np.int64) < 0
    low, high = _absolute(halves, negative)
    groups = _groups(low, high, kind.precision, kind.scale)
    return _packed(groups, negative, kind.scale)


def _halves(array: Array) -> Numbers:
    """The low and the high 64 bits of each decimal; zero where NULL."""
    data = array.buffers()[1]
    if data is None:
        return np.zeros((len(array), 2), np.uint64)
    values: Numbers = np.frombuffer(data, np.uint64, 2 * (array.offset + len(array)))[2 * array.offset :].reshape(-1, 2)
    null = null_mask(array)
    return values if null is None else np.where(null[:, None], np.uint64(0), values)


def _absolute(halves: Numbers, negative: Numbers) -> tuple[Numbers, Numbers]:
    low, high = halves[:, 0], halves[:, 1]
    if not negative.any():
        return low, high
    flipped = ~low + np.uint64(1)
    return np.where(negative, flipped, low), np.where(negative, ~high + (flipped == 0), high)


def _groups(low: Numbers, high: Numbers, precision: int, scale: int) -> list[Numbers]:
    """Groups of four digits, the most significant first; the point is between two of them."""
    made: list[Numbers] = []
    odd = scale % 4
    if odd:
        (low, high), rest = _divided(low, high, 10**odd)
        made.append(rest * 10 ** (4 - odd))
    for _ in range(-(-(precision - odd) // 8)):
        (low, high), rest = _divided(low, high, _GROUP * _GROUP)
        upper, lower = np.divmod(rest.astype(np.uint32), np.uint32(_GROUP))
        made += [lower, upper]
    while len(made) * 4 < scale:
        made.append(np.zeros(len(low), np.uint32))
    return made[::-1]


def _divided(low: Numbers, high: Numbers, by: int) -> tuple[tuple[Numbers, Numbers], Numbers]:
    """128 bits by less than 32: the quotient and the remainder."""
    divisor = np.uint64(by)
    if not high.any():
        quotient = low // divisor
        return (quotient, high), low - quotient * divisor
    shift = np.uint64(32)
    quotients = []
    rest = np.zeros(len(low), np.uint64)
    for part in (high >> shift, high & _LOW, low >> shift, low & _LOW):
        value = (rest << shift) | part
        quotient = value // divisor
        rest = value - quotient * divisor
        quotients.append(quotient)
    a, b, c, d = quotients
    return ((c << shift) | d, (a << shift) | b), rest


def _packed(groups: Sequence[Numbers], negative: Numbers, scale: int) -> Values:
    """The header and the groups, without zeros at either end."""
    rows, width = len(negative), len(groups)
    filled = [group != 0 for group in groups]
    after_first = list(accumulate(filled, np.logical_or))
    before_last = list(accumulate(reversed(filled), np.logical_or))[::-1]
    made = np.empty((rows, 4 + width), ">i2")
    keep = np.ones((rows, 4 + width), np.bool_)
    digits = np.zeros(rows, np.int16)
    for at, group in enumerate(groups):
        kept = after_first[at] & before_last[at]
        digits += kept
        keep[:, 4 + at] = kept
        made[:, 4 + at] = group
    some = after_first[-1]  # false where the number is zero
    first = width - sum(each.astype(np.int16) for each in after_first)
    made[:, 0] = digits
    made[:, 1] = np.where(some, width - -(-scale // 4) - 1 - first, 0)
    made[:, 2] = np.where(negative & some, _NEGATIVE, 0)
    made[:, 3] = scale
    return binary_array(2 * (4 + digits), made[keep])


def _from_texts(array: Array) -> Values:
    """BIGNUM, which has up to thousands of digits, comes as text."""
    packed = [_number(text or "0") for text in array.to_pylist()]
    return binary_array(np.array([len(each) for each in packed], np.int32), b"".join(packed))


def _number(text: str) -> bytes:
    digits = text.lstrip("-").lstrip("0")
    if len(digits) > _MOST_DIGITS:
        raise NumericOutOfRange(f"a number has {len(digits)} digits, numeric has at most {_MOST_DIGITS}")
    digits = digits.zfill(-(-len(digits) // 4) * 4)
    groups = [int(digits[i : i + 4]) for i in range(0, len(digits), 4)]
    weight = max(len(groups) - 1, 0)
    while groups and not groups[-1]:
        groups.pop()
    header = [len(groups), weight, _NEGATIVE if text.startswith("-") else 0, 0]
    return np.array(header + groups, ">i2").tobytes()
