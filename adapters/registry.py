"""From `adapter = "name"` in the catalog file to an adapter object.

Built-in and third-party adapters register alike, as entry points of the group `federation.adapters`; a missing
optional driver raises with the install command.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from importlib.metadata import entry_points
from typing import Any

from adapters.base import Adapter
from adapters.errors import CatalogError, MissingDriver

GROUP = "federation.adapters"


def adapter_names() -> tuple[str, ...]:
    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))


def adapter_class(kind: str) -> type[Adapter]:
    """The class behind `adapter = kind`. Raises CatalogError for an unknown kind, MissingDriver without its package."""
    for point in entry_points(group=GROUP, name=kind):
        try:
            loaded: type[Adapter] = point.load()
        except ModuleNotFoundError as exc:
            raise MissingDriver(
                f'adapter "{kind}" needs the package {exc.name}', hint=f'pip install "federation[{kind}]"'
            ) from exc
        return loaded
    names = adapter_names()
    near = get_close_matches(kind, names, 1)
    raise CatalogError(
        f'there is no adapter "{kind}"', hint=f'did you mean "{near[0]}"?' if near else f"known: {', '.join(names)}"
    )


def make_adapter(name: str, kind: str, options: Mapping[str, Any]) -> Adapter:
    """`options` are the adapter's own keys of [sources.name], secrets resolved. No connection is made yet."""
    factory: Any = adapter_class(kind)
    adapter: Adapter = factory(name, options)
    return adapter
