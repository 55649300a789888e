"""Conditions: what alerts are made of.

A :class:`Condition` says that something holds, or that it is over; what could not be told is not said at all, so an
alert never ends for want of evidence. One small function per rule.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from monitor.core.catalogue import service_of
from monitor.core.components.baseline import Unusual, sentence
from monitor.core.components.health import ComponentHealth
from monitor.core.components.slo import Burning
from monitor.core.doubt.keys import Key
from monitor.core.entities import Incident, MethodState
from monitor.core.incidents.transitions import is_open
from monitor.core.model.alert_rules import AnyRule, Rule
from monitor.core.model.alerting import Severity
from monitor.core.model.incident_events import Cause
from monitor.core.model.reasons import Reason, Scope
from monitor.core.model.registration import Registration
from monitor.core.model.states import Health

LOUDNESS = {Severity.INFO: 0, Severity.TICKET: 1, Severity.PAGE: 2}
ACCOUNT_RULE = {Scope.ACCOUNT: Rule.ACCOUNT, Scope.PROBE: Rule.CONFIGURATION}
TRANSIENT = frozenset(
    {
        Reason.NETWORK,
        Reason.CLOCK,
        Reason.LAGGED,
        Reason.PROXY,
        Reason.RATE_LIMIT,
        Reason.UNREADABLE,
        Reason.BUDGET,
        Reason.CHANGED,
    }
)
"""Reasons that end by themselves or have alerts of their own."""
LASTING = {Reason.RATE_LIMIT: 12, Reason.UNREADABLE: 12, Reason.BUDGET: 3, Reason.CHANGED: 3, Reason.PROXY: 3}
"""So many inconclusive looks in a row for one of these reasons open a ticket; a spent budget is only INFO."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that holds now, or is over. ``scope`` tells conditions of one rule apart, as a probe's id."""

    rule: AnyRule
    service: str
    component: str
    holds: bool
    severity: Severity = Severity.TICKET
    since: datetime | None = None
    scope: str = ""
    incident: str = ""
    summary: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Deduplication key: the same trouble has the same key for ever, whatever its words."""
        return alert_key(self.service, self.component, self.rule, self.scope)


@lru_cache(maxsize=4_096)  # called for every look of a failing component, so it is kept cheap
def alert_key(service: str, component: str, rule: AnyRule, scope: str = "") -> str:
    """Return sha256 over service, component, rule and scope, in hexadecimal."""
    return hashlib.sha256(f"{service}|{component}|{rule}|{scope}".encode()).hexdigest()


def component_down(component: str, verdict: ComponentHealth, incident: Incident | None) -> tuple[Condition, ...]:
    """Return the condition of a component's trouble; it is over when its incident is, not at the first good look."""
    service = service_of(component)
    part = incident is not None and is_open(incident) and component in incident.components
    if verdict.health.severity and (part or not verdict.regional):  # what fails at one place only is not over yet
        loud = Severity.PAGE if verdict.health.severity >= Health.PARTIAL.severity else Severity.TICKET
        return (
            Condition(
                Rule.COMPONENT_DOWN,
                service,
                component,
                True,
                Severity.INFO if verdict.reason is Reason.QUALITY else loud,
                verdict.since,
                incident=incident.id if incident and part else "",
                summary={
                    "health": verdict.health.value,
                    "reason": verdict.reason.value,
                    "detail": verdict.detail,
                    "locations": verdict.agreeing,
                    "voters": verdict.voters,
                    "flapping": verdict.flapping,
                },
            ),
        )
    over = verdict.health is Health.OPERATIONAL and not verdict.flapping and not part
    return (Condition(Rule.COMPONENT_DOWN, service, component, False),) if over else ()


def suspect_location(component: str, verdict: ComponentHealth) -> tuple[Condition, ...]:
    """Return a ticket while fewer locations than the quorum see trouble: theirs, or the beginning of ours."""
    service = service_of(component)
    if verdict.regional:
        facts = {"locations": list(verdict.suspects), "reason": verdict.reason.value, "detail": verdict.detail}
        return (Condition(Rule.SUSPECT, service, component, True, Severity.TICKET, verdict.since, summary=facts),)
    known = verdict.health is not Health.UNKNOWN
    return (Condition(Rule.SUSPECT, service, component, False),) if known else ()


def registration_changed(
    component: str, state: Registration, incident: Incident | None, ways: Sequence[MethodState] = ()
) -> tuple[Condition, ...]:
    """Return the condition that fewer people can sign up; it holds as long as the registration incident is open.

    ``state`` is the word over all ``ways``; the condition names those that are not simply open.
    """
    service = service_of(component)
    if incident is None or incident.cause is not Cause.REGISTRATION or component not in incident.components:
        return ()
    if not is_open(incident):
        return (Condition(Rule.REGISTRATION_CHANGED, service, component, False),)
    # Reopened or unknown sign-up never raises the severity.
    shut = state in (Registration.CLOSED, Registration.FAILING, Registration.RESTRICTED)
    loud = Severity.PAGE if shut else Severity.TICKET
    limited = [way for way in ways if way.state not in (Registration.OPEN, Registration.UNKNOWN)]
    facts = {"registration": state.value, "ways": [_way(way) for way in limited]}
    since = incident.started_at
    return (Condition(Rule.REGISTRATION_CHANGED, service, component, True, loud, since, "", incident.id, facts),)


def _way(way: MethodState) -> dict[str, Any]:
    return {
        "method": way.method.value,
        "after": way.state.value,
        "country_codes": list(way.country_codes),
        "email_domains": list(way.email_domains),
        "invite_required": way.invite_required,
        "approval_required": way.approval_required,
        **({"failed_ratio": way.failed_ratio} if way.failed_ratio is not None else {}),
        **({"places": shut_at} if (shut_at := _shut_at(way)) else {}),
    }


def _shut_at(way: MethodState) -> list[str]:
    """Return the places from which it is anything but open, where places differ."""
    return [word.place for word in way.differing if word.state is not Registration.OPEN]


def own_trouble(
    probe: str, component: str, reason: Reason, since: datetime, detail: str = "", unclear: int = 0, key: Key = Key.NEW
) -> tuple[Condition, ...]:
    """Return the operator's conditions from a probe's newest look: our key, money, region, configuration or bug.

    ``unclear`` is how many looks in a row were inconclusive, ``key`` what is known of a key that is refused. Only an
    answer that worked ends the conditions; a missed look says nothing.
    """
    service = service_of(component)
    if reason.outcome.is_evidence:
        return tuple(Condition(rule, service, component, False, scope=probe) for rule in ACCOUNT_RULE.values())
    rule = ACCOUNT_RULE.get(reason.scope)
    passes = reason in TRANSIENT and not 0 < LASTING.get(reason, 0) <= unclear
    passes |= reason is Reason.AUTH and key in (Key.TRUSTED, Key.TOLD)
    if rule is None or passes or reason.value.startswith("missed"):
        return ()
    facts = {"reason": reason.value, "detail": detail, "probe": probe}
    loud = Severity.INFO if reason is Reason.BUDGET else Severity.TICKET
    if reason is Reason.AUTH and key is Key.ONLY:
        loud = Severity.PAGE  # it worked a while ago: we see nothing of this service, and nobody else will tell
    return (Condition(rule, service, component, True, loud, since, probe, summary=facts),)


def certificate(probe: str, component: str, not_after: datetime, now: datetime) -> tuple[Condition, ...]:
    """Return the condition of a certificate that ends within 14 days (ticket) or 3 days (page)."""
    service, left = service_of(component), not_after - now
    facts = {"not_after": not_after.isoformat(), "days_left": max(0, left.days), "probe": probe}
    if left >= timedelta(days=14):
        return (Condition(Rule.CERTIFICATE, service, component, False, scope=probe),)
    loud = Severity.PAGE if left < timedelta(days=3) else Severity.TICKET
    return (Condition(Rule.CERTIFICATE, service, component, True, loud, now, probe, summary=facts),)


def overdue(probe: str, component: str, verdict: ComponentHealth, now: datetime) -> tuple[Condition, ...]:
    """Return the condition that nobody has looked for too long, or ever."""
    service = service_of(component)
    silent = verdict.health is Health.UNKNOWN and verdict.reason.value.startswith("missed")
    if not silent:
        return (Condition(Rule.OVERDUE, service, component, False, scope=probe),)
    facts = {"observed_at": verdict.observed_at.isoformat() if verdict.observed_at else None}
    return (
        Condition(Rule.OVERDUE, service, component, True, Severity.TICKET, verdict.since or now, probe, summary=facts),
    )


def burn_rate(component: str, burning: Sequence[Burning], now: datetime) -> Condition:
    """Return the one condition of a component's error budget: the loudest rule that fires, over when none does.

    Call it only with windows that hold enough looks (no looks are no recovery), and without the looks of outages that
    somebody was told of: what those burnt is no news, and nobody is woken twice. It begins when the rule finds it: the
    start of the window may lie before the first look.
    """
    service = service_of(component)
    worst = max(burning, key=lambda found: (LOUDNESS[found.rule.severity], found.burn), default=None)
    if worst is None:
        return Condition(Rule.BURN_RATE, service, component, False, Severity.TICKET)
    return Condition(
        Rule.BURN_RATE,
        service,
        component,
        True,
        worst.rule.severity,
        now,
        summary={
            "burn": round(worst.burn, 2),
            "long_s": worst.rule.long_s,
            "short_s": worst.rule.short_s,
            "failed": worst.long.failed,
            "looks": worst.long.looks,
        },
    )


def latency_unusual(component: str, probe: str, found: Unusual | None, now: datetime) -> Condition:
    """Return the condition that a probe is slower than usual for this hour of the week; it is never more than INFO."""
    facts: dict[str, Any] = {}
    if found is not None:
        facts = {"now_s": round(found.now_s, 3), "usual_s": round(found.usual_s, 3), "z": round(found.z, 1)}
        facts |= {"weeks": found.weeks, "what": found.what, "detail": sentence(found)}
        facts |= {"hour": found.hour.isoformat()} if found.hour else {}
    since = found.since if found is not None and found.since is not None else now
    service = service_of(component)
    return Condition(
        Rule.LATENCY_UNUSUAL, service, component, found is not None, Severity.INFO, since, probe, summary=facts
    )


def about_us(rule: Rule, scope: str, why: str, since: datetime, severity: Severity = Severity.PAGE) -> Condition:
    """Return a condition about the monitor itself (``blind``, ``spool``, ``delivery``); an empty ``why`` ends it."""
    return Condition(rule, "", "", bool(why), severity, since, scope, summary={"why": why} if why else {})


def alerts_for(
    verdicts: Mapping[str, ComponentHealth], incidents: Mapping[str, Incident | None]
) -> tuple[Condition, ...]:
    """Return the conditions that follow from the verdicts; ``incidents`` is the latest outage per service."""
    found: list[Condition] = []
    for component, verdict in verdicts.items():
        incident = incidents.get(service_of(component))
        found += component_down(component, verdict, incident)
        found += suspect_location(component, verdict)
    return tuple(found)
