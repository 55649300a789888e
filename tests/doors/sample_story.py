"""The incidents of January 2025 as timelines, reconstructed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from monitor.core.entities import IncidentEvent
from monitor.core.model.incident_events import Cause, EventKind
from monitor.core.model.states import Impact, IncidentStatus
from monitor.store.reads.views import IncidentView
from tests.core.making import whole

CUT = "线上服务受到大规模恶意攻击，为持续提供服务，暂时限制了+86手机号以外的注册方式，已注册用户可以正常登录。"
LIMITING = (
    "Due to large-scale malicious attacks on DeepSeek's services, we are temporarily limiting registrations to ensure "
    "continued service. Existing users can log in as usual."
)
NAMES = {"web": "Web chat", "api": "API", "registration": "Registration", "login": "Log-in"}


def at(text: str) -> datetime:
    """Read ``01-27 15:30`` as UTC in 2025."""
    return datetime.strptime(f"2025-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=UTC)


def event(name: str, seq: int, when: datetime, kind: EventKind, by: str = "", /, **data: Any) -> IncidentEvent:
    """One line of a timeline as it is read from its row, recorded 20 s after it happened."""
    defaults: dict[EventKind, dict[str, Any]] = {
        EventKind.OPENED: {"service": "deepseek", "cause": "outage"},
        EventKind.REGISTRATION_CHANGED: {"component": "deepseek/registration"},
    }
    what = whole(kind, defaults.get(kind, {}) | data)
    return IncidentEvent(name, seq, when, when + timedelta(seconds=20), what, by)


def incident(name: str, cause: Cause, events: Sequence[IncidentEvent], **more: Any) -> IncidentView:
    """An incident of DeepSeek."""
    settings: dict[str, Any] = {
        "title": "",
        "status": IncidentStatus.INVESTIGATING,
        "impact": Impact.MAJOR,
        "resolved_at": None,
        "components": ("deepseek/web", "deepseek/api"),
        "public": True,
        "lead_s": None,
    } | more
    names = {f"deepseek/{slug}": name for slug, name in NAMES.items()}
    return IncidentView(
        id=name,
        service="deepseek",
        service_name="DeepSeek",
        cause=cause,
        started_at=events[0].at,
        detected_at=events[0].recorded_at,
        updated_at=events[-1].recorded_at,
        component_names={part: names[part] for part in settings["components"]},
        events=tuple(events),
        **settings,
    )


def overload() -> IncidentView:
    """25 January: overload, resolved."""
    first = event(
        "overload-0125",
        1,
        at("01-25 07:33"),
        EventKind.OPENED,
        components=["deepseek/api"],
        reason="service.overloaded",
        location_count=2,
        first_failed_at="2025-01-25T07:33:00+00:00",
        impact="major",
    )
    events = (
        first,
        event(
            "overload-0125",
            2,
            at("01-25 08:08"),
            EventKind.COMPONENT_BETTER,
            component="deepseek/api",
            health="operational",
        ),
        event("overload-0125", 3, at("01-25 08:08"), EventKind.RECOVERING),
        event("overload-0125", 4, at("01-25 08:10"), EventKind.RESOLVED, duration_s=2220.0, by_rule=True),
    )
    return incident(
        "overload-0125",
        Cause.OUTAGE,
        events,
        status=IncidentStatus.RESOLVED,
        resolved_at=at("01-25 08:10"),
        components=("deepseek/api",),
    )


def outage() -> IncidentView:
    """27 January: web chat slow, API down for a while."""
    key = "outage-0127"
    said = "We are investigating issues with sign-up and log-in."
    events = (
        event(
            key,
            1,
            at("01-27 13:19"),
            EventKind.OPENED,
            components=["deepseek/web"],
            reason="service.timeout.headers",
            location_count=2,
            first_failed_at="2025-01-27T13:19:00+00:00",
            impact="minor",
        ),
        event(
            key,
            2,
            at("01-27 13:33"),
            EventKind.UPSTREAM_SAID,
            provider="statuspage",
            incident="7cppyxbhctc3",
            name="DeepSeek 网页/API不可用(DeepSeek Web/API Service Not Available)",
            status="investigating",
            body=said,
            url="https://status.deepseek.com/incidents/7cppyxbhctc3",
            said_at="2025-01-27T13:33:00+00:00",
        ),
        event(
            key,
            3,
            at("01-27 13:40"),
            EventKind.COMPONENT_WORSE,
            component="deepseek/api",
            health="major_outage",
            reason="service.overloaded",
        ),
        event(key, 4, at("01-27 13:41"), EventKind.IMPACT_CHANGED, impact="major"),
        event(
            key,
            5,
            at("01-27 14:20"),
            EventKind.NOTE,
            "alice",
            text="We see the same from two networks. The vendor speaks of a large attack.",
            status="identified",
        ),
        event(
            key,
            6,
            at("01-27 15:02"),
            EventKind.COMPONENT_BETTER,
            component="deepseek/api",
            health="degraded_performance",
        ),
    )
    return incident(key, Cause.OUTAGE, events, status=IncidentStatus.IDENTIFIED, lead_s=840.0)


def registration_cut() -> IncidentView:
    """27 January: registration cut to +86."""
    key = "registration-0127"
    common: dict[str, Any] = {
        "component": "deepseek/registration",
        "before": "open",
        "email_domains": [],
        "invite_required": False,
        "approval_required": False,
        "source": "official_text",
        "excerpt": CUT,
        "url": "https://status.deepseek.com/incidents/7cppyxbhctc3",
    }
    events = (
        event(
            key,
            1,
            at("01-27 15:30"),
            EventKind.OPENED,
            components=["deepseek/registration"],
            reason="ok",
            location_count=1,
            first_failed_at="2025-01-27T15:30:00+00:00",
            impact="minor",
        ),
        event(
            key,
            2,
            at("01-27 15:30"),
            EventKind.REGISTRATION_CHANGED,
            method="email",
            after="closed",
            country_codes=[],
            **common,
        ),
        event(
            key,
            3,
            at("01-27 15:30"),
            EventKind.REGISTRATION_CHANGED,
            method="phone",
            after="restricted",
            country_codes=["86"],
            **common,
        ),
        event(
            key,
            4,
            at("01-27 15:30"),
            EventKind.REGISTRATION_CHANGED,
            method="google",
            after="closed",
            country_codes=[],
            **common,
        ),
        event(
            key,
            5,
            at("01-27 15:45"),
            EventKind.UPSTREAM_SAID,
            provider="statuspage",
            incident="7cppyxbhctc3",
            name="DeepSeek Web/API Service Not Available",
            status="identified",
            body=LIMITING,
            url="https://status.deepseek.com/incidents/7cppyxbhctc3",
            said_at="2025-01-27T15:45:00+00:00",
        ),
    )
    return incident(
        key,
        Cause.REGISTRATION,
        events,
        status=IncidentStatus.IDENTIFIED,
        impact=Impact.MINOR,
        components=("deepseek/registration",),
        lead_s=900.0,
    )
