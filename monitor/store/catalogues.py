"""The catalogue in force, by id. Parsed once per version and process."""

from __future__ import annotations

import hashlib

from sqlalchemy import Connection, select

from monitor.core.catalogue import Catalogue, Index, make_index
from monitor.store import tables
from monitor.store.codec import unpack
from monitor.store.connection.engine import CatalogueDamagedError, is_away
from monitor.store.tables import table

CATALOGUE = table(tables.Catalogue)
_DIGEST = select(CATALOGUE.c.digest)
_PARSED: dict[str, Index] = {}
_KEPT = 8


def load_index(connection: Connection) -> Index:
    """Return the published catalogue; an empty one if none was published yet.

    Raises :class:`CatalogueDamagedError` when it cannot be read: judged without it, every look would be a stranger's.
    """
    try:
        digest = connection.scalar(_DIGEST)
        if digest is None:
            return Index()
        if digest not in _PARSED:
            body = connection.scalar(select(CATALOGUE.c.body))
            if len(_PARSED) >= _KEPT:
                _PARSED.clear()
            _PARSED[digest] = make_index(unpack(Catalogue, body or ""))
        return _PARSED[digest]
    except Exception as error:
        if is_away(error):
            raise
        text = "the catalogue in the database cannot be read: a running worker writes it again within seconds"
        raise CatalogueDamagedError(f"{text}, else start one (chatwatch up)") from error


def digest_of(label: str, body: str) -> str:
    """Return what tells one version of the catalogue from another."""
    return hashlib.sha256(f"{label}|{body}".encode()).hexdigest()[:32]


def is_sound(connection: Connection) -> bool:
    """Say whether a catalogue is stored and can be read, also by a process that has not read it before."""
    row = connection.execute(select(CATALOGUE.c.digest, CATALOGUE.c.label, CATALOGUE.c.body)).first()
    if row is None:
        return False
    if row.digest == digest_of(row.label, row.body):
        return True
    try:
        make_index(unpack(Catalogue, row.body))  # another version may tell its catalogues apart in another way
    except (ValueError, KeyError, TypeError):
        return False
    return True
