"""From a catalog file to a working catalog."""

from __future__ import annotations

from pathlib import Path

from adapters.base import Adapter
from adapters.errors import CatalogError, MissingDriver
from adapters.registry import make_adapter
from catalog.catalog import Catalog
from catalog.config import Config, read_config
from catalog.model import Source, SourceConfig


def load_catalog(path: Path) -> Catalog:
    """The catalog in a file or a folder; no source is contacted. Raises one CatalogError that lists every fault."""
    config, faults = read_config(path)
    catalog, more = build_catalog(config)
    faults += more
    if not faults:
        return catalog
    catalog.close()
    if len(faults) == 1:
        raise faults[0]
    lines = [f"- {fault.message}" + (f" ({fault.hint})" if fault.hint else "") for fault in faults]
    raise CatalogError("\n".join([f"{path} has {len(faults)} faults:", *lines])) from faults[0]


def build_catalog(config: Config) -> tuple[Catalog, list[CatalogError]]:
    """The catalog of what is in order, and what the adapters found wrong with their options."""
    sources: list[Source] = []
    faults: list[CatalogError] = []
    for source in config.sources:
        try:
            made: Adapter | MissingDriver = make_adapter(source.name, source.kind, source.options)
        except MissingDriver as exc:
            made = exc
        except CatalogError as exc:
            config.redactor.scrub_error(exc)
            faults.append(_placed(source, exc))
            continue
        sources.append(Source(source.name, source.kind, made, source.limits, source.cache, source.options))
    made_of = (config.views, config.settings, config.notes, config.redactor, config.access)
    return Catalog(sources, *made_of), faults


def _placed(source: SourceConfig, fault: CatalogError) -> CatalogError:
    placed = CatalogError(f"{source.file}: sources.{source.name}: {fault.message}", hint=fault.hint)
    placed.__cause__ = fault
    return placed
