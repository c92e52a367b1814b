"""What exists: the catalog file, and from names to tables and views."""

from catalog.catalog import Catalog
from catalog.load import build_catalog, load_catalog

__all__ = ["Catalog", "build_catalog", "load_catalog"]
