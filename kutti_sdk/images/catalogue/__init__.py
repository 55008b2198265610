"""Image lists: which images are published where.

| module | its job |
|---|---|
| `schema` | reads a list, and refuses what is odd in it |
| `kept` | the last good list of every source, for when there is no network |
| `refresh` | gets lists anew |
"""

from kutti_sdk.images.catalogue.kept import load_catalogue
from kutti_sdk.images.catalogue.refresh import refresh_catalogue
from kutti_sdk.images.catalogue.schema import Catalogue, CatalogueEntry, merge, parse_catalogue

__all__ = [
    "Catalogue",
    "CatalogueEntry",
    "load_catalogue",
    "merge",
    "parse_catalogue",
    "refresh_catalogue",
]
