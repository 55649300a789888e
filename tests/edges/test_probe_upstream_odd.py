"""Status pages of odd shapes: what cannot be read or counted must not make anything of ours look well."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from monitor.core.model.states import Health
from monitor.core.model.upstream import UpstreamReading
from monitor.probes.upstream.mapping import mapped
from monitor.probes.upstream.parts import Look
from monitor.probes.upstream.platforms import PLATFORMS
from monitor.probes.upstream.story import told_in

NOW = datetime(2026, 10, 7, 1, tzinfo=UTC)
HOUR_AGO = int((NOW - timedelta(hours=1)).timestamp())
NESTED: list[dict[str, Any]] = [
    {"id": "all", "name": "All", "status": "operational", "group": True, "group_id": "chat"},
    {"id": "chat", "name": "Chat", "status": "operational", "group": True, "group_id": "all"},
    {"id": "leaf", "name": "Models", "status": "major_outage", "group_id": "chat"},
]
MANY: list[dict[str, Any]] = [
    {"id": f"c{n}", "name": f"C {n}", "status": "major_outage" if n == 450 else "operational"} for n in range(600)
]


def statuspage(*components: dict[str, Any]) -> dict[str, Any]:
    return {"page": {}, "status": {"indicator": "none"}, "incidents": [], "components": list(components)}


def cloudflare(*components: dict[str, Any]) -> dict[str, Any]:
    return {"success": True, "result": {"components": list(components), "active_incidents": []}}


def incident_io(affected: list[Any]) -> dict[str, Any]:
    summary = {"components": [{"id": "a", "name": "Login"}], "ongoing_incidents": [], "affected_components": affected}
    return {"summary": summary}


def flashduty(**impact: Any) -> bytes:
    row = {"component_id": "a", "status": "full_outage"} | impact
    data = {"page": {"components": [{"component_id": "a", "name": "API"}]}, "component_impacts": [row]}
    return json.dumps({"data": data}).encode()


def changed(affected: object) -> bytes:
    row = {"change_id": "1", "title": "t", "status": "investigating", "start_at_seconds": HOUR_AGO}
    data = {"page": {"components": [{"component_id": "a", "name": "API"}]}}
    return json.dumps({"data": data | {"active_changes": [row | {"affected_components": affected}]}}).encode()


def google(end: object) -> list[dict[str, Any]]:
    row = {
        "id": "i",
        "begin": "2026-10-07T00:00:00Z",
        "end": end,
        "affected_products": [{"id": "Z", "title": "Gemini"}],
    }
    return [row | {"most_recent_update": {"status": "SERVICE_OUTAGE"}}]


def aws(**bedrock: Any) -> list[dict[str, Any]]:
    other = {"service": "EC2", "region": "us-east-1", "startTime": HOUR_AGO * 1000}
    return [other, {"service": "BEDROCK", "region": "us-east-1", "startTime": None} | bedrock]


def feed(*entries: tuple[str, str, int], guid: str = "<guid isPermaLink='false'>G</guid>") -> bytes:
    rows = "".join(
        f"<item><title>[{surface}] Outage</title>{guid}<description>Status: {status} Severity: outage</description>"
        f"<pubDate>Wed, 07 Oct 2026 00:{minute:02} GMT</pubDate></item>"
        for surface, status, minute in entries
    )
    return f'<?xml version="1.0"?><rss version="2.0"><channel><title>T</title>{rows}</channel></rss>'.encode()


def read(provider: str, document: Any, *watched: str) -> tuple[UpstreamReading, Look]:
    look = Look(NOW, "https://status.example.com/", provider, watched)
    return PLATFORMS[provider].read(document, look), look


@pytest.mark.parametrize(
    ("provider", "document", "named", "health"),
    [
        ("statuspage", statuspage(*NESTED), "all", Health.MAJOR),
        ("statuspage", statuspage(*MANY), "c450", Health.MAJOR),
        ("statuspage", statuspage(*MANY), "C 450", Health.MAJOR),
        ("cloudflare_status", cloudflare(*NESTED), "all", Health.MAJOR),
        ("incident_io", incident_io(["a"]), "a", Health.UNKNOWN),
        ("flashduty", flashduty(start_at_seconds=None), "a", Health.UNKNOWN),
        ("flashduty", flashduty(start_at_seconds=HOUR_AGO * 1000), "a", Health.UNKNOWN),
        ("flashduty", flashduty(start_at_seconds=HOUR_AGO, end_at_seconds=HOUR_AGO + 86400), "a", Health.MAJOR),
        ("flashduty", flashduty(start_at_seconds=HOUR_AGO, end_at_seconds=HOUR_AGO + 60), "a", Health.OPERATIONAL),
        ("flashduty", flashduty(start_at_seconds=HOUR_AGO + 86400), "a", Health.OPERATIONAL),
        ("google_cloud", google(""), "Z", Health.MAJOR),
        ("google_cloud", google("2026-10-07T00:30:00Z"), "Z", Health.OPERATIONAL),
        ("google_cloud", [*google("2026-10-07T00:30:00Z"), "i"], "Z", Health.UNKNOWN),
        ("google_cloud", [google(None)[0] | {"affected_products": [{"title": "Gemini"}]}], "Z", Health.UNKNOWN),
        (
            "google_cloud",
            [google(None)[0] | {"affected_products": [{"id": "Y", "title": "T"}]}],
            "Z",
            Health.OPERATIONAL,
        ),
        ("flashduty", changed("a"), "a", Health.UNKNOWN),
        ("flashduty", changed(["a"]), "a", Health.UNKNOWN),
        ("flashduty", changed(None), "a", Health.OPERATIONAL),
        ("aws_health", aws(region="global", startTime=HOUR_AGO * 1000), "BEDROCK/us-east-1", Health.DEGRADED),
        ("aws_health", aws(region=None, startTime=HOUR_AGO * 1000), "BEDROCK/us-east-1", Health.DEGRADED),
        ("aws_health", aws(region="eu-west-1", startTime=HOUR_AGO * 1000), "BEDROCK/us-east-1", Health.OPERATIONAL),
        ("aws_health", aws(), "BEDROCK", Health.UNKNOWN),
        ("aws_health", aws(service=["BEDROCK"]), "BEDROCK", Health.UNKNOWN),
        ("aws_health", aws(endTime=HOUR_AGO * 1000), "BEDROCK", Health.OPERATIONAL),
        ("aws_health", aws(service="S3"), "BEDROCK", Health.OPERATIONAL),
        ("feed", feed(("api.x.ai", "INVESTIGATING", 10), ("api.x.ai", "RESOLVED", 40)), "api.x.ai", Health.OPERATIONAL),
        ("feed", feed(("api.x.ai", "RESOLVED", 40), ("api.x.ai", "INVESTIGATING", 10)), "api.x.ai", Health.OPERATIONAL),
        *(
            ("feed", feed((f"{region}.api.x.ai", "INVESTIGATING", 10)), "api.x.ai", Health.DEGRADED)
            for region in ("eu", "euw1", "us1", "apac", "us-east-1")
        ),
        *(
            ("feed", feed((surfaces, "INVESTIGATING", 10)), "grok.com", Health.PARTIAL)
            for surfaces in ("api.x.ai, grok.com", "api.x.ai] [grok.com", "All systems", "Update] [grok.com")
        ),
        ("feed", feed(("Scheduled] [grok.com", "SCHEDULED", 10)), "grok.com", Health.OPERATIONAL),
        ("feed", feed(("Scheduled] [grok.com", "In progress", 10)), "grok.com", Health.UNKNOWN),
        ("feed", feed(("docs.api.x.ai", "INVESTIGATING", 10)), "api.x.ai", Health.OPERATIONAL),
    ],
)
def test_what_is_mapped_on_a_page_of_odd_shape_is_as_ill_as_the_page_says_or_unknown(
    provider: str, document: Any, named: str, health: Health
) -> None:
    reading, look = read(provider, document, named)
    assert mapped(reading, {named: "ours"}, look) == ({"ours": health}, ())


def test_an_incident_that_was_opened_again_has_not_ended() -> None:
    row = {"id": "i", "name": "n", "status": "investigating", "created_at": "2026-10-07T00:00:00Z"}
    page = statuspage() | {"incidents": [row | {"resolved_at": "2026-10-07T00:30:00Z"}]}
    (incident,) = read("statuspage", page)[0].incidents
    assert (incident.resolved_at, incident.started_at) == (None, NOW - timedelta(hours=1))


def test_two_incidents_of_one_title_without_an_id_stay_two() -> None:
    entries = feed(("api.x.ai", "RESOLVED", 40), ("api.x.ai", "INVESTIGATING", 10), guid="")
    assert len(read("feed", entries)[0].incidents) == 2


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("Sep 3, 10:00 CST", "02:00"),  # China's, by the entry's own stamp
        ("Sep 2, 20:00 CST", "02:00"),  # Chicago's
        ("Sep 3, 2026, 10:00 SGT", "02:00"),
        ("Sep 3, 2026, 11:00 JST", "02:00"),
        ("Sep 3, 07:30 IST", "02:00"),
        ("Sep 3, 2026, 10:00 UTC+8", "02:00"),
        ("3 Sep 2026 10:00 GMT+08:00", "02:00"),
        ("Sep 2, 2026 10:00 PM GMT-4", "02:00"),
        ("Sep 3, 2:00 AM UTC", "02:00"),
        ("Sep 3, 2026 12:30 AM UTC", "00:30"),
        ("Sep 3, 2026 13:00 PM UTC", None),
    ],
)
def test_an_end_in_a_text_is_read_to_the_minute_in_its_own_zone_and_clock(text: str, end: str | None) -> None:
    told = told_in(f"{text}\nResolved - done", datetime(2026, 9, 3, 2, tzinfo=UTC), Look(NOW, "https://s/", "feed"))
    assert (told.end and f"{told.end:%d %H:%M}") == (end and f"03 {end}")
