"""The vendor's own status page: what its incidents say of registration."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from monitor.core.model.observations import Observation
from monitor.core.model.registration import MethodReading, Registration, Source
from monitor.core.model.states import IncidentStatus
from monitor.core.model.upstream import UpstreamIncident, UpstreamReading
from monitor.core.model.warning_codes import WarningCode
from monitor.probes.base import Context
from monitor.probes.registration.detector import Detector, Reading, unread
from monitor.probes.registration.observed import observed
from monitor.probes.registration.phrases import (
    EXCERPT_CHARS,
    Statement,
    says_existing_users_can_log_in,
    settled,
    statements,
)
from monitor.probes.upstream.parts import OVER, Look, UnreadableError
from monitor.probes.upstream.statuspages import endpoints, fetch, page_of, read, unreachable
from monitor.text.cleaner import clean
from monitor.wire import WireError

RESTORED_WITHIN = timedelta(days=1)
"""A resolved incident of the vendor may still tell, this long, that registration is open again."""


async def look(options: Any, ctx: Context) -> Observation:
    """Read the page with the reader of its platform, which ``provider`` names."""
    page = page_of(options.url)
    under_way = Look(ctx.now, page, options.provider)
    where = endpoints(options.provider, options.url)
    try:
        answer = await fetch(where.main, ctx, where.body_bytes)
    except WireError as error:
        return unreachable(error)
    try:
        reading = await read(answer, under_way, ctx)
    except UnreadableError as error:
        return observed(unread(str(error), error.warning), answer, ctx)
    return observed(incident_text(reading, page, ctx.now), answer, ctx, announces=True)


def incident_text(reading: UpstreamReading, url: str, now: datetime) -> Reading:
    """Return what the vendor's open incidents say of registration, the newest word of each.

    Of an incident that was resolved lately only "registration is open again" counts, or that it is over where it was
    sign-up that failed or was late; and only where no open one speaks of the same way.
    """
    said: list[Statement] = []
    over: list[Statement] = []
    reassured = False
    for incident in reading.incidents:
        if incident.status in OVER:
            ended = incident.resolved_at or incident.updated_at
            over += _ended(incident, url) if ended and now - ended <= RESTORED_WITHIN else ()
            continue
        words = [
            *(update.body for update in incident.updates if update.status is not IncidentStatus.RESOLVED),
            incident.name,
        ]
        spoken = (found for text in words if (found := statements(text, Source.OFFICIAL_TEXT, url)))
        said += next(spoken, ())
        reassured = reassured or any(says_existing_users_can_log_in(text) for text in words)
    spoken_of = {one.reading.method for one in said}
    readings, contradictory = settled([*said, *(one for one in over if one.reading.method not in spoken_of)])
    warnings = (WarningCode.REGISTRATION_CONTRADICTORY,) * contradictory
    warnings += (WarningCode.REGISTRATION_EXISTING_USERS_CAN_LOG_IN,) * reassured
    return Reading(readings, warnings, detail="" if readings else "no incident speaks of registration")


def _ended(incident: UpstreamIncident, url: str) -> list[Statement]:
    """Return what the end of a vendor's incident says: in its last words, or because what it told of is over."""
    last = incident.updates[0].body if incident.updates else ""
    told = [one for one in statements(last, Source.OFFICIAL_TEXT, url) if one.reading.state is Registration.OPEN]
    if told:
        return told
    texts = (*(update.body for update in incident.updates), incident.name)
    found = (one for text in texts for one in statements(text, Source.OFFICIAL_TEXT, url))
    mended = {one.reading.method: one for one in found if one.reading.state in _PASSES}
    excerpt = clean(last or incident.name, EXCERPT_CHARS)
    return [
        Statement("over", MethodReading(method, Registration.OPEN, Source.OFFICIAL_TEXT, excerpt=excerpt, url=url))
        for method in mended
    ]


_PASSES = (Registration.FAILING, Registration.DELAYED)
"""What ends with its incident; a door that was shut on purpose is open once somebody says so."""


KIND = Detector("upstream_text", look=look, needs=("provider",))
