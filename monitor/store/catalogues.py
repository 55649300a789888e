"""The catalogue in force, by id. Parsed once per version and process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, select

from monitor.core.catalogue import Catalogue, Component, Probe, Service
from monitor.store import tables
from monitor.store.codec import unpack
from monitor.store.tables import table

CATALOGUE = table(tables.Catalogue)
_PARSED: dict[str, Index] = {}
_KEPT = 8


@dataclass(frozen=True)
class Index:
    """A catalogue with its parts by id."""

    catalogue: Catalogue = field(default_factory=Catalogue)
    services: Mapping[str, Service] = field(default_factory=dict)
    components: Mapping[str, Component] = field(default_factory=dict)
    probes: Mapping[str, Probe] = field(default_factory=dict)
    probes_of: Mapping[str, tuple[Probe, ...]] = field(default_factory=dict)
    """Component id → its probes, in order."""


def make_index(catalogue: Catalogue) -> Index:
    """Return the catalogue by id."""
    probes_of: dict[str, tuple[Probe, ...]] = {}
    for probe in catalogue.probes:
        probes_of[probe.component] = (*probes_of.get(probe.component, ()), probe)
    return Index(
        catalogue,
        {service.id: service for service in catalogue.services},
        {component.id: component for component in catalogue.components},
        {probe.id: probe for probe in catalogue.probes},
        probes_of,
    )


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
