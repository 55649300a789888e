"""The vendor's components → ours, by id or exact name, single or as a group."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from monitor.core.model.states import Health, Impact
from monitor.core.model.upstream import UpstreamIncident, UpstreamReading
from monitor.core.model.warning_codes import WarningCode
from monitor.probes.upstream.parts import OVER, Group, Look, worst

_HEALTH = {
    Impact.NONE: Health.DEGRADED,
    Impact.MINOR: Health.DEGRADED,
    Impact.MAJOR: Health.PARTIAL,
    Impact.CRITICAL: Health.MAJOR,
}


def mapped(
    reading: UpstreamReading, mapping: Mapping[str, str], look: Look | None = None
) -> tuple[dict[str, Health], tuple[str, ...]]:
    """Return our component id → its worst state, and the vendor ids (or names) of the mapping that match nothing.

    A component of ours none of whose vendor ids is left is unknown. Where several of the vendor's share a name, the
    worst of them counts, with a warning: nobody can tell which is meant. A group is as bad as its worst member.
    """
    groups = look.groups if look else {}
    below = {key: look.below(key) for key in groups} if look else {}
    found: dict[str, list[Health]] = {}
    vanished = []
    for wanted, ours in mapping.items():
        bearers = tuple(bearers_of(wanted, reading, groups))
        if not bearers:
            vanished.append(wanted)
        if len(bearers) > 1 and look:
            look.warn(WarningCode.UPSTREAM_AMBIGUOUS_NAME)
        found.setdefault(ours, []).extend(_state(key, reading, groups, below) for key in bearers)
    return {ours: worst(states) for ours, states in found.items()}, tuple(vanished)


def bearers_of(wanted: str, reading: UpstreamReading, groups: Mapping[str, Group]) -> Iterator[str]:
    """Yield the ids of the vendor's components and groups that an id or a name stands for; an id goes before names."""
    if wanted in reading.components or wanted in groups:
        yield wanted
        return
    named = {key: reading.component_names.get(key, "") for key in reading.components}
    named |= {key: group.name for key, group in groups.items() if key not in named}
    yield from (key for key, name in named.items() if name.casefold() == wanted.casefold())


def _state(
    key: str, reading: UpstreamReading, groups: Mapping[str, Group], below: Mapping[str, Collection[str]]
) -> Health:
    if key in reading.components:
        return reading.components[key]
    parts = below[key]
    own = [group.health for name in (key, *parts) if (group := groups.get(name)) and group.health is not None]
    return worst([*(reading.components[part] for part in parts if part in reading.components), *own])


def attributed(
    reading: UpstreamReading, look: Look, mapping: Mapping[str, str], titles: Mapping[str, str]
) -> tuple[tuple[UpstreamIncident, ...], dict[str, Health]]:
    """Return the incidents with those of our components that each is about, and how ill its title makes them.

    An incident is about what the ids or names of its components are mapped to. One that names nothing mapped is about
    what ``titles`` (words of a title → our component) says; while it is open, our component is as bad as its impact.
    """
    incidents, states = [], dict[str, list[Health]]()
    for incident in reading.incidents:
        ours = _by_components(incident, reading, look, mapping)
        if not ours:
            title = incident.name.casefold()
            ours = tuple(dict.fromkeys(part for words, part in titles.items() if words.casefold() in title))
            if incident.status is not None and incident.status not in OVER:
                for part in ours:
                    states.setdefault(part, []).append(_HEALTH[incident.impact])
        incidents.append(replace(incident, ours=ours) if ours else incident)
    return tuple(incidents), {ours: worst(found) for ours, found in states.items()}


def _by_components(
    incident: UpstreamIncident, reading: UpstreamReading, look: Look, mapping: Mapping[str, str]
) -> tuple[str, ...]:
    touched = {word.casefold() for key in incident.components for word in (key, reading.component_names.get(key, key))}
    for key, group in look.groups.items():
        if any(part.casefold() in touched for part in look.below(key)):
            touched |= {key.casefold(), group.name.casefold()}
    return tuple(dict.fromkeys(ours for key, ours in mapping.items() if key.casefold() in touched))
