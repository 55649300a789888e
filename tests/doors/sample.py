"""Snapshots built by hand: a calm day, January 2025 (reconstructed), blind, stale, and nothing at all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from monitor.core.catalogue import Catalogue, Component, ComponentKind, Policy, Probe, Service
from monitor.core.components.slo import PERIOD_DAYS, Budget
from monitor.core.entities import MethodState
from monitor.core.model.reasons import Reason
from monitor.core.model.registration import Method, Registration, Source
from monitor.core.model.states import Health, Impact, IncidentStatus
from monitor.core.model.upstream import UpstreamIncident, UpstreamReading, UpstreamUpdate
from monitor.store.reads.views import (
    ComponentView,
    DayBar,
    Latency,
    LatencyPoint,
    MaintenanceView,
    RegistrationView,
    ServiceView,
    Snapshot,
    UpstreamView,
    Uptime,
    WorkerView,
)
from tests.doors.sample_story import CUT, LIMITING, at, event, incident, outage, overload, registration_cut

__all__ = ["event", "incident"]

NOW = datetime(2025, 1, 27, 17, 40, 12, tzinfo=UTC)
DAY_S = 86400.0
KINDS = (
    ("web", "Web chat", "网页聊天", ComponentKind.WEB),
    ("api", "API", "API", ComponentKind.API),
    ("registration", "Registration", "注册", ComponentKind.REGISTRATION),
    ("login", "Log-in", "登录", ComponentKind.LOGIN),
)


def days(
    now: datetime, trouble: Mapping[int, Mapping[str, float]] | None = None, watched: int = 90
) -> tuple[DayBar, ...]:
    """90 days up to ``now``; ``trouble`` maps days ago to seconds per state, the rest is operational."""
    bars = []
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for ago in range(89, -1, -1):
        passed = (now - today).total_seconds() if ago == 0 else DAY_S
        parts = dict((trouble or {}).get(ago, {}))
        incidents = int(parts.pop("incidents", 0))
        if ago >= watched:
            parts = {"unknown_s": passed}
        rest = passed - sum(parts.values())
        full = {
            f"{state}_s": 0.0 for state in ("operational", "degraded", "partial", "major", "maintenance", "unknown")
        }
        full |= parts
        full["operational_s"] += rest
        bars.append(DayBar(day=(today - timedelta(days=ago)).date(), incidents=incidents, **full))
    return tuple(bars)


def uptime(bars: Sequence[DayBar]) -> Uptime:
    """Add up the bars."""
    up = sum(bar.operational_s for bar in bars)
    degraded = sum(bar.degraded_s for bar in bars)
    down = sum(bar.partial_s + bar.major_s for bar in bars)
    maintenance = sum(bar.maintenance_s for bar in bars)
    unknown = sum(bar.unknown_s for bar in bars)
    return Uptime(up + degraded + down + maintenance + unknown, up, degraded, down, maintenance, unknown)


def shared(uptimes: Sequence[Uptime]) -> Uptime:
    """The mean of several components over one window."""
    names = ("window_s", "up_s", "degraded_s", "down_s", "maintenance_s", "unknown_s")
    return Uptime(*(sum(getattr(one, name) for one in uptimes) / len(uptimes) for name in names))


def latency(now: datetime, what: str, base_s: float, rise: float = 1.0) -> Latency:
    """24 hours in buckets of 15 minutes; the last hours are ``rise`` times slower, with failures and one gap."""
    points = []
    for step in range(96):
        when = now - timedelta(minutes=15 * (96 - step))
        wave = 1 + 0.15 * math.sin(step / 6)
        factor = rise if step > 70 else 1.0
        looks = 0 if 30 <= step < 33 else 15
        failures: dict[str, int] = {}
        if rise > 1 and 74 <= step < 88:
            failures = {"service.overloaded": 5, "service.timeout.queued": 3}
        p50 = base_s * wave * factor if looks else None
        points.append(LatencyPoint(when, p50, p50 * 2.7 if p50 else None, looks, failures))
    return Latency(
        what, DAY_S, base_s * (1 + (rise - 1) / 4), base_s * 2.7 * rise, sum(p.looks for p in points), tuple(points)
    )


def method(kind: Method, state: Registration, now: datetime, **more: Any) -> MethodState:
    """One way to sign up."""
    settings: dict[str, Any] = {"source": Source.OFFICIAL_TEXT, "since": now - timedelta(hours=2)} | more
    return MethodState(method=kind, state=state, read_at=now - timedelta(seconds=48), **settings)


def open_registration(now: datetime) -> RegistrationView:
    """Everything open."""
    since = {"since": now - timedelta(days=60), "source": Source.CONFIG_ENDPOINT}
    kinds = (Method.EMAIL, Method.PHONE, Method.GOOGLE, Method.APPLE)
    return RegistrationView(Health.OPERATIONAL, tuple(method(kind, Registration.OPEN, now, **since) for kind in kinds))


def cut_registration(now: datetime) -> RegistrationView:
    """Only Chinese phone numbers."""
    page = {"excerpt": CUT, "url": "https://status.deepseek.com/incidents/7cppyxbhctc3"}
    return RegistrationView(
        Health.PARTIAL,
        (
            method(Method.EMAIL, Registration.CLOSED, now, **page),
            method(Method.PHONE, Registration.RESTRICTED, now, country_codes=("86",), **page),
            method(Method.GOOGLE, Registration.CLOSED, now, **page),
            method(Method.APPLE, Registration.UNKNOWN, now, source=Source.PAGE_TEXT),
        ),
    )


def budget(bars: Sequence[DayBar]) -> Budget:
    """Held to 99 %."""
    spent = uptime(bars[-PERIOD_DAYS:])
    return Budget(0.99, spent.up_s + spent.degraded_s + spent.down_s, spent.down_s)


def component(service: str, row: tuple[str, str, str, ComponentKind], now: datetime, **more: Any) -> ComponentView:
    """One component, calm unless ``more`` says otherwise."""
    slug, name, name_zh, kind = row
    trouble = more.pop("trouble", None)
    watched = more.pop("watched", 90)
    bars = days(now, trouble, watched)
    calm: dict[str, Any] = {
        "health": Health.OPERATIONAL,
        "since": now - timedelta(days=12),
        "observed_at": now - timedelta(seconds=14),
        "reason": Reason.OK,
        "detail": "",
        "maintenance": False,
        "days": bars,
        "uptime": uptime(bars),
        "latency": None if kind is ComponentKind.REGISTRATION else latency(now, "response", 0.42),
        "registration": open_registration(now) if kind is ComponentKind.REGISTRATION else None,
        "budget": budget(bars),
    }
    if kind is ComponentKind.API:
        calm["latency"] = latency(now, "ttft", 1.4)
    return ComponentView(
        id=f"{service}/{slug}", service=service, name=name, names={"zh": name_zh}, kind=kind, **(calm | more)
    )


def service(
    slug: str, name: str, now: datetime, changes: Mapping[str, Mapping[str, Any]] | None = None, **more: Any
) -> ServiceView:
    """A service of four components; ``changes`` maps a component's slug to what differs."""
    parts = tuple(component(slug, row, now, **dict((changes or {}).get(row[0], {}))) for row in KINDS)
    health = max((part.health for part in parts), key=lambda state: state.rank)
    page = f"https://status.{slug}.example/"
    settings: dict[str, Any] = {
        "upstream": UpstreamView(
            UpstreamReading("statuspage", page, Health.OPERATIONAL), now - timedelta(seconds=70), None, Reason.OK
        )
    } | more
    return ServiceView(
        id=slug,
        name=name,
        url=f"https://{slug}.example/",
        status_page=page,
        health=health,
        components=parts,
        uptime=shared([part.uptime for part in parts]),
        **settings,
    )


def worker(now: datetime, **more: Any) -> WorkerView:
    """A worker that reported 12 s ago."""
    settings: dict[str, Any] = {"blind_since": None, "blind_reason": ""} | more
    return WorkerView(
        id="w1", location="frankfurt", seen_at=now - timedelta(seconds=12), spooled=0, loop_lag_s=0.004, **settings
    )


def calm(now: datetime = NOW) -> Snapshot:
    """Nothing is wrong."""
    history = {
        "web": {"trouble": {37: {"degraded_s": 3300.0, "incidents": 1}, 61: {"maintenance_s": 7200.0}}},
        "api": {"trouble": {12: {"major_s": 1260.0, "degraded_s": 2400.0, "incidents": 1}, 44: {"unknown_s": 5400.0}}},
    }
    services = (
        service("deepseek", "DeepSeek", now, history),
        service("chatgpt", "ChatGPT", now, {"web": {"trouble": {20: {"partial_s": 4000.0, "incidents": 1}}}}),
        service("claude", "Claude", now),
    )
    return Snapshot(
        taken_at=now,
        as_of=now - timedelta(seconds=12),
        stale=False,
        workers=(worker(now),),
        services=services,
        open_incidents=(),
        past_incidents=(overload(),),
        maintenances=(
            MaintenanceView(
                "m1",
                "claude",
                ("claude/api",),
                "Database upgrade announced by the vendor",
                "The API may be unreachable for up to 20 minutes.",
                now + timedelta(hours=9),
                now + timedelta(hours=11),
            ),
        ),
    )


def january(now: datetime = NOW) -> Snapshot:
    """27 January 2025, 17:40 UTC: sign-up cut to +86, web chat partly down, API slow."""
    start = at("01-27 13:19")
    changes: dict[str, dict[str, Any]] = {
        "web": {
            "health": Health.PARTIAL,
            "since": start,
            "reason": Reason.TIMEOUT_HEADERS,
            "detail": "no response headers within 10 s",
            "trouble": {0: {"partial_s": 15600.0, "degraded_s": 2000.0, "incidents": 1}, 1: {"degraded_s": 2800.0}},
            "latency": latency(now, "response", 0.42, 9.0),
        },
        "api": {
            "health": Health.DEGRADED,
            "since": at("01-27 15:02"),
            "reason": Reason.QUEUED,
            "detail": "first token after 41 s, 27 keep-alives before it",
            "trouble": {
                0: {"major_s": 4920.0, "degraded_s": 9480.0, "incidents": 1},
                1: {"partial_s": 2100.0, "incidents": 1},
                2: {"major_s": 2100.0, "incidents": 1},
                21: {"degraded_s": 4000.0},
                40: {"unknown_s": 30000.0},
            },
            "latency": latency(now, "ttft", 1.5, 18.0),
        },
        "registration": {
            "health": Health.PARTIAL,
            "since": at("01-27 15:30"),
            "registration": cut_registration(now),
            "trouble": {0: {"partial_s": 7800.0, "incidents": 1}},
        },
    }
    said = UpstreamIncident(
        id="7cppyxbhctc3",
        name="DeepSeek 网页/API不可用(DeepSeek Web/API Service Not Available)",
        status=IncidentStatus.IDENTIFIED,
        impact=Impact.MAJOR,
        started_at=at("01-27 13:33"),
        updated_at=at("01-27 15:45"),
        url="https://status.deepseek.com/incidents/7cppyxbhctc3",
        updates=(
            UpstreamUpdate(
                at("01-27 15:45"),
                IncidentStatus.IDENTIFIED,
                LIMITING,
            ),
        ),
    )
    upstream = UpstreamView(
        UpstreamReading("statuspage", "https://status.deepseek.com/", Health.DEGRADED, incidents=(said,)),
        now - timedelta(seconds=70),
        None,
        Reason.OK,
    )
    calm_day = calm(now)
    return replace(
        calm_day,
        services=(service("deepseek", "DeepSeek", now, changes, upstream=upstream), *calm_day.services[1:]),
        open_incidents=(registration_cut(), outage()),
        past_incidents=(overload(),),
        label="January 2025, reconstructed",
    )


def unknown(snapshot: Snapshot, reason: Reason) -> tuple[ServiceView, ...]:
    """Every component as one that we cannot judge."""
    return tuple(
        replace(
            view,
            health=Health.UNKNOWN,
            components=tuple(replace(part, health=Health.UNKNOWN, reason=reason) for part in view.components),
        )
        for view in snapshot.services
    )


def blind(now: datetime = NOW) -> Snapshot:
    """Our network is down."""
    base = calm(now)
    away = worker(now, blind_since=now - timedelta(minutes=7), blind_reason="all controls failed: service.dns")
    return replace(base, workers=(away,), services=unknown(base, Reason.NETWORK))


def stale(now: datetime = NOW) -> Snapshot:
    """The worker has been silent for 19 minutes."""
    base = january(now)
    return replace(base, as_of=now - timedelta(minutes=19), stale=True, services=unknown(base, Reason.NOT_RUNNING))


def empty(now: datetime = NOW) -> Snapshot:
    """A new installation: services are known, nobody has looked yet, one probe waits for its key."""
    changes: dict[str, dict[str, Any]] = {
        row[0]: {
            "health": Health.UNKNOWN,
            "since": None,
            "observed_at": None,
            "latency": None,
            "registration": None,
            "watched": 0,
        }
        for row in KINDS
    }
    changes["api"]["disabled"] = ("secret DEEPSEEK_API_KEY is not set",)
    return Snapshot(now, None, False, (), (service("deepseek", "DeepSeek", now, changes, upstream=None),), (), (), ())


def nothing(now: datetime = NOW) -> Snapshot:
    """No service at all."""
    return Snapshot(now, None, False, (), (), (), (), ())


def catalogue() -> Catalogue:
    """What is watched in the samples."""
    services = tuple(
        Service(slug, name) for slug, name in (("deepseek", "DeepSeek"), ("chatgpt", "ChatGPT"), ("claude", "Claude"))
    )
    parts = tuple(
        Component(f"{owner.id}/{row[0]}", owner.id, row[1], row[3], names={"zh": row[2]})
        for owner in services
        for row in KINDS
    )
    probes = tuple(
        Probe(
            f"{part.service}-{part.id.partition('/')[2]}",
            part.id,
            "chat" if part.kind is ComponentKind.API else "http",
            60,
            10.0,
            target=f"{part.service}.example",
        )
        for part in parts
    )
    strict = replace(probes[1], policy=Policy(shortest_outage_s=60.0))
    return Catalogue(services, parts, (probes[0], strict, *probes[2:]), version="sample")
