"""The vendor's own status page: a witness, read in its native format, shown beside our verdict and never part of it.

A page that cannot be read is never green: it moved, changed its shape, lost a component we look for, or hid behind a
wall. Each of these carries a warning for the operator. A page that has not changed for days is read and marked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from pydantic import Field, field_validator

from monitor.core.model.observations import Observation
from monitor.core.model.reasons import Reason
from monitor.core.model.states import Health
from monitor.core.model.upstream import UpstreamIncident, UpstreamReading
from monitor.core.model.warning_codes import WarningCode
from monitor.probes import base
from monitor.probes.answers import evidence, parse_json, robot_wall
from monitor.probes.base import Context, Kind, Seconds
from monitor.probes.upstream.mapping import attributed, mapped
from monitor.probes.upstream.parts import INCIDENTS, OVER, Look, UnreadableError, worst
from monitor.probes.upstream.platform import Endpoints
from monitor.probes.upstream.platforms import PLATFORMS
from monitor.probes.upstream.statuspages import Provider, endpoints, fetch, page_of, read, unreachable
from monitor.wire import Answer, WireError

PAST = timedelta(days=30)
"""How far back the end of an incident is looked for."""


class Options(base.OverProxy):
    """Options of the kind ``upstream``."""

    provider: Provider
    url: str
    """The page's address; an address that ends in ``.json`` or contains ``/proxy/`` is asked as it stands."""
    components: dict[str, str] = Field(default_factory=dict)
    """The vendor's component or group, by id (or exact name) → our component id. For Google Cloud: product ids."""
    titles: dict[str, str] = Field(default_factory=dict)
    """Words of an incident's title → our component id, for incidents that name no component that is mapped."""
    unmapped: base.Words = ()
    """Components of the page, by id or name, that are left out on purpose: ``chatwatch vendors audit`` knows them."""
    frozen_after_s: Seconds | None = 180 * 86400.0
    """A page whose own time stamp is older than this is taken for one that was left behind, and what it says for
    unknown. Weeks without a word are only a quiet time; ``null``: however long."""

    def imports(self) -> Iterable[str]:
        """Return what its platform needs."""
        return PLATFORMS[self.provider].imports

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        return base.checked_url(value)


async def run(options: Options, ctx: Context) -> Observation:
    """Read the page once, plus its history when an incident we knew as open is no longer listed."""
    return base.untimed(await _read(options, ctx))


async def _read(options: Options, ctx: Context) -> Observation:
    look = Look(ctx.now, page_of(options.url), options.provider, tuple(options.components))
    where = endpoints(options.provider, options.url)
    try:
        answer = await fetch(where.main, ctx, where.body_bytes)
    except WireError as error:
        return unreachable(error)
    try:
        reading = await read(answer, look, ctx)
        if where.parts and options.components:
            reading = await _with_parts(reading, where.parts, look, ctx)
        reading = await _with_the_end(reading, where, look, ctx)
    except UnreadableError as error:
        found = Observation(_reason_of(answer), str(error), warnings=(error.warning, *look.odd))
        return _about(found, answer, is_evident=True)
    return _about(_judged(reading, options, look), answer)


async def _with_parts(reading: UpstreamReading, url: str, look: Look, ctx: Context) -> UpstreamReading:
    """Add the components of a provider that lists them in a document of their own."""
    parts = PLATFORMS[reading.provider].parts
    found = parts(await _document(url, ctx), look) if parts else []
    if not found:
        look.warn(WarningCode.UPSTREAM_NO_COMPONENTS)
    listed = look.reading(reading.indicator, found)
    return replace(reading, components=listed.components, component_names=listed.component_names)


async def _document(url: str, ctx: Context) -> Any:
    """Fetch a second document; ``None`` if that fails, because the first one already says the most."""
    try:
        answer = await fetch(url, ctx)
        return parse_json(answer.body) if answer.status == 200 else None
    except (WireError, ValueError):
        return None


async def _with_the_end(reading: UpstreamReading, where: Endpoints, look: Look, ctx: Context) -> UpstreamReading:
    """Look up how the incidents ended that were open at the look before and are listed no longer."""
    listed = {incident.id for incident in reading.incidents}
    gone = [key for key in ctx.memory.get("open", []) if key not in listed]
    going_on = [incident.id for incident in reading.incidents if incident.status not in OVER]
    ctx.memory["open"] = going_on
    history = PLATFORMS[reading.provider].history
    if not gone or not where.history or history is None:
        return reading
    document = await _past(where.history, ctx)
    if document is None:
        ctx.memory["open"] = [*going_on, *gone][:INCIDENTS]  # ask again at the next look
        return reading
    if where.impacts and isinstance(document, dict):
        document["impacts"] = await _past(where.impacts, ctx)
    ended = list(_picked(history(document, look), gone))
    if len(ended) < len(gone):
        look.warn(WarningCode.UPSTREAM_INCIDENT_DELETED)
    return replace(reading, incidents=(*reading.incidents, *ended))


async def _past(url: str, ctx: Context) -> Any:
    now = int(ctx.now.timestamp())
    asked = url.replace("{since}", str(now - round(PAST.total_seconds()))).replace("{now}", str(now))
    return await _document(asked, ctx)


def _picked(incidents: Iterable[UpstreamIncident | None], keys: list[str]) -> Iterable[UpstreamIncident]:
    first = {incident.id: incident for incident in incidents if incident is not None and incident.id in keys}
    return first.values()


def _judged(reading: UpstreamReading, options: Options, look: Look) -> Observation:
    states, vanished = mapped(reading, options.components, look)
    incidents, titled = attributed(reading, look, options.components, options.titles)
    reading = replace(reading, incidents=incidents)
    states |= {ours: worst((health, states.get(ours, health))) for ours, health in titled.items()}
    if vanished:
        look.warn(WarningCode.UPSTREAM_COMPONENT_VANISHED)
    if _is_frozen(reading, options, look):
        return _frozen(reading, states, look)
    lost = sorted(ours for ours in set(options.components.values()) if not _has_source(ours, options, vanished))
    if lost:
        states.update(dict.fromkeys(lost, Health.UNKNOWN))
        detail = f"nothing on the page is {', '.join(lost)} any more: {len(vanished)} configured ids match nothing"
        reason = Reason.UNREADABLE
    else:
        open_now = sum(incident.status not in OVER for incident in reading.incidents)
        detail = f"{reading.indicator}, {open_now} open incident{'' if open_now == 1 else 's'}"
        reason = Reason.OK
    return Observation(reason, detail, upstream=replace(reading, mapped=states), warnings=tuple(look.odd))


def _frozen(reading: UpstreamReading, states: Mapping[str, Health], look: Look) -> Observation:
    """Believe nothing of a page that nobody updates: the last state of a page that was left behind stays green."""
    look.warn(WarningCode.UPSTREAM_FROZEN)
    unknown = replace(reading, indicator=Health.UNKNOWN, mapped=dict.fromkeys(states, Health.UNKNOWN))
    detail = f"not updated since {reading.page_updated_at:%Y-%m-%d}"
    return Observation(Reason.UNREADABLE, detail, upstream=unknown, warnings=tuple(look.odd))


def _has_source(ours: str, options: Options, vanished: tuple[str, ...]) -> bool:
    return any(target == ours and key not in vanished for key, target in options.components.items())


def _is_frozen(reading: UpstreamReading, options: Options, look: Look) -> bool:
    updated = reading.page_updated_at
    limit = options.frozen_after_s
    return updated is not None and limit is not None and look.now - updated > timedelta(seconds=limit)


def _reason_of(answer: Answer) -> Reason:
    is_wall = robot_wall(answer.status, answer.headers, answer.body)
    return Reason.BLOCKED if is_wall else Reason.UNREADABLE


def _about(observation: Observation, answer: Answer, *, is_evident: bool = False) -> Observation:
    return replace(
        observation,
        http_status=answer.status,
        http_version=answer.http_version,
        address=answer.address,
        bytes_received=answer.wire_bytes,
        phases=answer.phases,
        certificate=answer.certificate,
        warnings=(*observation.warnings, *answer.warnings),
        evidence=evidence(answer.url, answer.headers, answer.body) if is_evident else None,
    )


KIND = Kind(
    "upstream",
    Options,
    run,
    speaks_http=True,
    is_witness=True,
    names_components=("components", "titles"),
)
