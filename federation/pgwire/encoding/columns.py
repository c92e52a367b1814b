"""How the values of a column are encoded: by its type in PostgreSQL, the format, and what it is in Arrow.

`texts` and `binaries` know the types, `arrays` puts elements together.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from federation.pgwire.encoding.arrays import (
    VECTORS,
    array_binary,
    array_text,
    element_type,
    is_list,
    vector_binary,
    vector_text,
)
from federation.pgwire.encoding.binaries import send_binary
from federation.pgwire.encoding.segments import Column, Encode, null_mask
from federation.pgwire.encoding.texts import write_text
from federation.pgwire.style import Style
from federation.pgwire.types import ELEMENTS, PgType


def column_encoders(schema: pa.Schema, types: Sequence[PgType], formats: Sequence[int], style: Style) -> list[Encode]:
    """`formats` are the protocol's: none (text), one for all columns, or one each. Raises NotSupportedError for a type
    that has no binary form."""
    each = [formats[0] if formats else 0] * len(types) if len(formats) <= 1 else formats
    return [
        column_encoder(field.type, type_.oid, format_, style)
        for field, type_, format_ in zip(schema, types, each, strict=True)
    ]


def column_encoder(kind: pa.DataType, oid: int, format_: int, style: Style) -> Encode:
    if pa.types.is_dictionary(kind):
        inner = column_encoder(kind.value_type, oid, format_, style)
        return lambda array: inner(array.dictionary_decode())
    if is_list(kind) and (oid in ELEMENTS or oid in VECTORS):
        return _list_encoder(kind, oid, format_, style)
    if format_:
        send = send_binary(oid, kind)
        return lambda array: Column(send(array), null_mask(array))
    write = write_text(oid)
    return lambda array: Column(write(array, style), null_mask(array))


def _list_encoder(kind: pa.DataType, oid: int, format_: int, style: Style) -> Encode:
    element_oid = VECTORS.get(oid) or ELEMENTS[oid]
    element = column_encoder(element_type(kind), element_oid, format_, style)
    if oid in VECTORS:
        return vector_binary(element, element_oid) if format_ else vector_text(element)
    return array_binary(element, element_oid) if format_ else array_text(element)
