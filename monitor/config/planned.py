"""Planned work of the file → the announcements that the rules know."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from monitor.config.build import Builder
from monitor.config.faults import Code, Faults, did_you_mean
from monitor.config.models import MaintenanceEntry
from monitor.config.take import take
from monitor.config.yamltree import Path_, Tree
from monitor.core.catalogue import Planned
from monitor.core.maintenance import EARLIEST, LATEST, Maintenance, existing, repeat_fault, zone_of


def planned(
    entries: list[Any], tree: Tree, faults: Faults, services: set[str], builder: Builder
) -> tuple[Planned, ...]:
    """Read the announcements; what they name must be there."""
    known = {component.id for component in builder.component_list}
    found: dict[str, Planned] = {}
    for index, value in enumerate(entries):
        path: Path_ = ("maintenance", index)
        entry = take(MaintenanceEntry, value, tree, path, faults)
        if entry is None:
            continue
        names = tuple(name if "/" in name else f"{entry.service}/{name}" for name in entry.components)
        if entry.service not in services | builder.faulty:
            message = f'maintenance "{entry.id}" names an unknown service "{entry.service}"'
            faults.add(Code.UNKNOWN_NAME, tree, (*path, "service"), message, did_you_mean(entry.service, services))
        for place, name in enumerate(names):
            if name not in known and not {name, entry.service} & builder.faulty:
                message = f'maintenance "{entry.id}" names an unknown component "{name}"'
                faults.add(Code.UNKNOWN_NAME, tree, (*path, "components", place), message, did_you_mean(name, known))
        if entry.id in found:
            faults.add(Code.DUPLICATE_ID, tree, (*path, "id"), f'maintenance "{entry.id}" stands here twice')
        try:
            window = _window(entry, names)
        except ValueError as error:
            faults.add(Code.MAINTENANCE, tree, path, f'maintenance "{entry.id}": {error}')
            continue
        found[entry.id] = Planned(window, entry.title, entry.text)
    return tuple(found.values())


def _window(entry: MaintenanceEntry, components: tuple[str, ...]) -> Maintenance:
    """Return the announcement; raises ``ValueError`` that says why it cannot be held."""
    zone = zone_of(entry.time_zone)
    starts = _moment(entry.starts, zone)
    until = _moment(entry.until, zone) if entry.until else None
    ends = starts + timedelta(seconds=entry.lasts)
    wall, repeat = _wall(entry.starts), entry.repeat.lower()
    if repeat and " at " not in repeat and starts.astimezone(zone).replace(tzinfo=None) != wall:
        repeat += f" at {wall:%H:%M}"  # it begins in a gap of the clock, and only the first time
    item = Maintenance(entry.id, entry.service, components, starts, ends, repeat, entry.time_zone, until)
    if why := repeat_fault(item):
        raise ValueError(why)
    return item


def _moment(text: str, zone: ZoneInfo) -> datetime:
    """Read a wall-clock time of the zone; one in a gap of the clock is the first moment after it."""
    return existing(_wall(text), zone)


def _wall(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is not None:
        raise ValueError(f'"{text}" is no wall-clock time of its time zone: write it as in 2027-02-07 02:00')
    if not EARLIEST.year < at.year < LATEST.year:
        raise ValueError(f'"{text}" is not a time between {EARLIEST:%Y} and {LATEST:%Y}')
    return at
