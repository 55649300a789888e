"""The catalogue in force, by id. Parsed once per version and process."""

from __future__ import annotations

from sqlalchemy import Connection, select

from monitor.core.catalogue import Catalogue, Index, make_index
from monitor.store import tables
from monitor.store.codec import unpack
from monitor.store.tables import table

CATALOGUE = table(tables.Catalogue)
_PARSED: dict[str, Index] = {}
_KEPT = 8


def load_index(connection: Connection) -> Index:
    """Return the published catalogue; an empty one if none was published yet."""
    digest = connection.scalar(select(CATALOGUE.c.digest))
    if digest is None:
        return Index()
    if digest not in _PARSED:
        body = connection.scalar(select(CATALOGUE.c.body))
        if len(_PARSED) >= _KEPT:
            _PARSED.clear()
        _PARSED[digest] = make_index(unpack(Catalogue, body or "{}"))
    return _PARSED[digest]
