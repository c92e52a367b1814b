"""Commands have no use for pandas, which pyarrow imports where it is installed: 25 MB, a third of a second."""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder

import pyarrow as pa


class _Hidden(MetaPathFinder):
    def find_spec(self, fullname: str, *_: object) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError(fullname, name=fullname)


def leave_pandas_out() -> None:
    """Before anything else is done with pyarrow. Who imports pandas later, such as an adapter, has all of it."""
    hidden = _Hidden()
    sys.meta_path.insert(0, hidden)
    try:
        pa.array([0])  # pyarrow looks for it now, and not again
    finally:
        sys.meta_path.remove(hidden)
