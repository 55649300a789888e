"""Text that attacks whoever draws it, and a January in which every word from outside is such text."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from monitor.core.model.incident_events import EventKind
from monitor.core.model.reasons import Reason
from monitor.core.model.registration import Method, Registration
from monitor.core.model.states import Health, Impact
from monitor.core.model.upstream import UpstreamIncident, UpstreamReading, UpstreamUpdate
from monitor.store.reads.views import MaintenanceView, RegistrationView, Snapshot, UpstreamView
from tests.doors.sample import NOW, january, method
from tests.doors.sample_story import event, outage

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "[link](javascript:alert(1))",
    '<a href="javascript:alert(1)">click</a>',
    "![beacon](https://evil.example/pixel.png)",
    "abc\u202edcb\u2066hidden\u2069",
    "nul\x00byte and \x1b[31mansi\x1b[0m",
    "{{7*7}} ${7*7} <%= 7*7 %>",
    "/etc/passwd",
    "=cmd|' /C calc'!A0",
    "| a | b |\n|---|---|\n$\\frac{1}{2}$ :red[x]",
    "</style></details></main><style>body{display:none}</style>",
    "x" * 200_000,
)


def hostile(now: datetime = NOW) -> Snapshot:
    """January with every text that comes from outside replaced by an attack."""
    base = january(now)
    attacks = tuple(
        event(
            f"hostile-{index}",
            1,
            now,
            EventKind.UPSTREAM_SAID,
            provider=text,
            incident=text,
            name=text,
            status="",
            body=text,
            url=text,
            said_at=now.isoformat(),
        )
        for index, text in enumerate(HOSTILE)
    )
    changed = tuple(
        event(
            "hostile-r",
            index,
            now,
            EventKind.REGISTRATION_CHANGED,
            component=text,
            method=list(Method)[index % len(Method)],
            after="restricted",
            country_codes=[text],
            email_domains=[text],
            excerpt=text,
            url=text,
        )
        for index, text in enumerate(HOSTILE)
    )
    notes = tuple(event("hostile-n", 1, now, EventKind.NOTE, text, text=text) for text in HOSTILE)
    bad = replace(outage(), id="hostile", events=attacks + changed + notes, title="")
    others = tuple(replace(bad, id=f"hostile-{index}", title=text) for index, text in enumerate(HOSTILE))
    first = base.services[0]
    parts = tuple(
        replace(
            part,
            name=HOSTILE[index],
            detail=HOSTILE[index + 1],
            disabled=HOSTILE,
            registration=RegistrationView(
                Health.PARTIAL,
                tuple(
                    method(
                        Method.PHONE,
                        Registration.RESTRICTED,
                        now,
                        excerpt=text,
                        url=text,
                        country_codes=(text[:40],),
                        email_domains=(text,),
                    )
                    for text in HOSTILE
                ),
            ),
        )
        for index, part in enumerate(first.components)
    )
    said = tuple(
        UpstreamIncident(text, text, None, Impact.MINOR, now, url=text, updates=(UpstreamUpdate(now, None, text),))
        for text in HOSTILE
    )
    upstream = UpstreamView(
        UpstreamReading("statuspage", HOSTILE[3], Health.DEGRADED, incidents=said), now, None, Reason.OK
    )
    return replace(
        base,
        services=(
            replace(first, components=parts, upstream=upstream, name=HOSTILE[1], url=HOSTILE[3]),
            *base.services[1:],
        ),
        open_incidents=(bad, *others),
        label=HOSTILE[0],
        maintenances=tuple(
            MaintenanceView(text, "deepseek", (), text, text, now + timedelta(hours=1), now + timedelta(hours=2))
            for text in HOSTILE
        ),
    )
