"""From a catalog file to a working catalog."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from adapters.base import Adapter
from adapters.errors import CatalogError, MissingDriver
from adapters.registry import make_adapter
from catalog.catalog import Catalog
from catalog.config import Config, read_config
from catalog.model import Source, SourceConfig
from catalog.share import share_of_limits, share_of_settings


def load_catalog(path: Path, processes: int = 1) -> Catalog:
    """The catalog in a file or a folder, for one of so many processes that keep its limits together; no source is
    contacted. Raises one CatalogError that lists every fault."""
    config, faults = read_config(path)
    catalog, more = build_catalog(config, processes)
    faults += more
    if not faults:
        return catalog
    catalog.close()
    if len(faults) == 1:
        raise faults[0]
    lines = [f"- {fault.message}" + (f" ({fault.hint})" if fault.hint else "") for fault in faults]
    raise CatalogError("\n".join([f"{path} has {len(faults)} faults:", *lines])) from faults[0]


def build_catalog(config: Config, processes: int = 1) -> tuple[Catalog, list[CatalogError]]:
    """The catalog of what is in order, and what the adapters found wrong with their options."""
    sources: list[Source] = []
    faults: list[CatalogError] = []
    for source in config.sources:
        limits = share_of_limits(source.limits, processes)
        options = {**source.options, "limits": asdict(limits)} if "limits" in source.options else source.options
        try:
            made: Adapter | MissingDriver = make_adapter(source.name, source.kind, options)
        except MissingDriver as exc:
            made = exc
        except CatalogError as exc:
            config.redactor.scrub_error(exc)
            faults.append(_placed(source, exc))
            continue
        sources.append(Source(source.name, source.kind, made, limits, source.cache, source.options))
    settings = share_of_settings(config.settings, processes)
    made_of = (config.views, settings, config.notes, config.redactor, config.access)
    return Catalog(sources, *made_of), faults


def _placed(source: SourceConfig, fault: CatalogError) -> CatalogError:
    placed = CatalogError(f"{source.file}: sources.{source.name}: {fault.message}", hint=fault.hint)
    placed.__cause__ = fault
    return placed
