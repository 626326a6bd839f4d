"""The catalog: a package's public callables, or the calls that docs name, as `Api` records, found and shown.

A package is read statically, never imported.
"""

from kohai.catalog.catalog import Catalog
from kohai.catalog.reader import read_package
from kohai.catalog.render import render
from kohai.catalog.retriever import Index, Retriever, tokens

__all__ = ["Catalog", "Index", "Retriever", "read_package", "render", "tokens"]
