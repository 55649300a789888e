"""What the public reads: :func:`decide` turns the facts of now into the events of an incident.

The table of statuses and the projection are in :mod:`monitor.core.incidents.transitions`. ``decide`` compares the
latest incident of a service and cause with the facts and returns the events that are missing: called twice with the
same facts it returns nothing the second time. A person's word wins over the rules until the next relapse or the
resolution. The vendor's page is quoted, never obeyed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from monitor.core.catalogue import Policy, Publishing
from monitor.core.components.health import ComponentHealth
from monitor.core.components.registration.rules import is_worse
from monitor.core.entities import Incident, IncidentEvent, RegistrationChange
from monitor.core.incidents import correlation
from monitor.core.incidents.transitions import (
    IMPACT,
    RANK,
    apply,
    is_open,
)
from monitor.core.maintenance import Window
from monitor.core.model.incident_events import (
    Cause,
    ComponentBetter,
    ComponentWorse,
    EventData,
    FailedAgain,
    ImpactChanged,
    Opened,
    ProbeRemoved,
    Published,
    Recovering,
    RegistrationChanged,
    Relapsed,
    Related,
    Reopened,
    Resolved,
    UpstreamSaid,
)
from monitor.core.model.registration import Registration
from monitor.core.model.states import Health, Impact


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything :func:`decide` looks at, for one service and one cause, as of now.

    ``verdicts`` holds every component of the service (for the cause *registration*: what
    ``components.registration.verdict`` says of those that have one). ``registration`` and ``upstream`` are only what is
    new since the last call. ``removed`` are components that no enabled probe looks at any more.
    """

    service: str
    cause: Cause
    verdicts: Mapping[str, ComponentHealth]
    registration: tuple[RegistrationChange, ...] = ()
    upstream: tuple[UpstreamSaid, ...] = ()
    maintenance: tuple[Window, ...] = ()
    removed: frozenset[str] = frozenset()
    restricted: frozenset[str] = frozenset()
    """Components that can be reached, but at which fewer people may sign up, or nobody knows who may: no recovery is
    told of them."""
    beside: tuple[Incident, ...] = ()
    """Incidents of other services, needed once :func:`monitor.core.incidents.correlation.due` asks for them."""
    logins: Mapping[str, ComponentHealth] = field(default_factory=dict)
    """What the looks say of the service's log-in components: its timeline tells what became of them."""


@dataclass
class _Draft:
    """Events being written on top of an incident."""

    incident: Incident | None
    id: str
    now: datetime
    events: list[IncidentEvent] = field(default_factory=list)

    def add(self, what: EventData, at: datetime) -> None:
        seq = (self.incident.last_seq if self.incident else 0) + 1
        event = IncidentEvent(self.id, seq, at, self.now, what)
        self.events.append(event)
        self.incident = apply(self.incident, event)

    @property
    def now_open(self) -> Incident:
        assert self.incident is not None
        return self.incident


def incident_id(service: str, cause: Cause, started_at: datetime, after: str = "") -> str:
    """Return a stable, sortable id: the same outage gets the same id live, in replay and in another process.

    ``after`` is the id of the service's incident before it. Without it two incidents that begin at the same moment
    would share an id, and the database would refuse the second for ever.
    """
    chain = f"|{after}" if after else ""
    digest = hashlib.sha256(f"{service}|{cause}|{started_at.isoformat()}{chain}".encode()).hexdigest()[:10]
    return f"{started_at:%Y%m%dT%H%M%S}-{digest}"


def decide(incident: Incident | None, facts: Facts, now: datetime, policy: Policy) -> tuple[IncidentEvent, ...]:
    """Return the events that follow from the facts.

    ``incident`` is the latest one of this service and cause, open or not, however old; ``None`` if there never was
    one. The events are numbered on from it, or start a new incident when the first of them is OPENED.
    """
    failing = _failing(facts, now)
    if incident is None or not is_open(incident):
        return _start(incident, facts, failing, now, policy) or _afterwards(incident, facts, now)
    draft = _Draft(incident, incident.id, now)
    _tell_registration(draft, facts)
    _tell_upstream(draft, facts)
    _tell_related(draft, facts)
    if incident.good_since is not None and failing:
        _relapse(draft, Relapsed, facts, failing)
    elif incident.good_since is None:
        _compare(draft, facts, failing)
        _recover(draft, facts, failing)
    if draft.now_open.good_since is not None and is_open(draft.now_open):
        _resolve(draft, facts, now, policy)
    _publish(draft, now, policy)
    return tuple(draft.events)


def _failing(facts: Facts, now: datetime) -> dict[str, ComponentHealth]:
    """Components in confirmed trouble and not under maintenance, worst first."""
    found = {
        name: verdict
        for name, verdict in facts.verdicts.items()
        if verdict.health.severity
        and not verdict.regional
        and name not in facts.removed
        and not any(window.covers(name, now) for window in facts.maintenance)
    }
    return dict(sorted(found.items(), key=lambda item: (-item[1].health.severity, item[0])))


def _is_same_story(last: Incident, new: Mapping[str, ComponentHealth]) -> bool:
    """Say whether new trouble reopens the incident that was just resolved.

    It is the same only if it has a component in common with it: another one that fails soon after may have a cause of
    its own. What works, but late or wrong, does not reopen an outage: the public would read "critical" of what answers.
    It is a milder story of its own, and an outage after it is none of it either. Registration has one story at a time.
    """
    if last.cause is Cause.OUTAGE and not set(new) & set(last.components):
        return False
    is_outage = any(verdict.health.severity >= Health.PARTIAL.severity for verdict in new.values())
    return last.cause is Cause.REGISTRATION or is_outage == (RANK[last.impact] > RANK[Impact.MINOR])


def _start(
    last: Incident | None, facts: Facts, failing: dict[str, ComponentHealth], now: datetime, policy: Policy
) -> tuple[IncidentEvent, ...]:
    """Open a new incident, or reopen the last one if it was resolved only just now."""
    new = {name: v for name, v in failing.items() if last is None or _is_news(last, name, v)}
    if facts.cause is Cause.REGISTRATION:
        worse = {change.component for change in facts.registration if is_worse(change)}
        new = {name: verdict for name, verdict in new.items() if name in worse}
    if not new:
        return ()
    if last is not None and last.resolved_at is not None:
        window = timedelta(seconds=policy.reopen_window_s)
        if now - last.resolved_at <= window and _is_same_story(last, new):
            draft = _Draft(last, last.id, now)
            _relapse(draft, Reopened, facts, failing)
            _tell_registration(draft, facts)
            _tell_upstream(draft, facts)
            return tuple(draft.events)
    started = min(_began(facts, name, verdict, now) for name, verdict in new.items())
    if last is not None and last.resolved_at is not None:
        started = max(started, last.resolved_at)  # earlier changes belong to the previous incident
    worst = next(iter(failing.values()))
    impact = IMPACT[worst.health]
    draft = _Draft(None, incident_id(facts.service, facts.cause, started, last.id if last else ""), now)
    opened = Opened(
        facts.service,
        facts.cause,
        impact,
        components=tuple(failing),
        health={name: verdict.health for name, verdict in failing.items()},
        public=_publishing(impact, policy) is Publishing.AUTOMATIC,
        reason=worst.reason,
        detail=worst.detail,
        location_count=worst.agreeing,
        voter_count=worst.voters,
        first_failed_at=started,
        login=_login(facts, now),
    )
    draft.add(opened, started)
    _tell_registration(draft, facts)
    _tell_upstream(draft, facts)
    return tuple(draft.events)


def _afterwards(last: Incident | None, facts: Facts, now: datetime) -> tuple[IncidentEvent, ...]:
    """Quote what the vendor says of an outage only when it is over."""
    if last is None or not facts.upstream:
        return ()
    draft = _Draft(last, last.id, now)
    _tell_upstream(draft, facts)
    return tuple(draft.events)


def _is_news(last: Incident, name: str, verdict: ComponentHealth) -> bool:
    """Trouble that a person called resolved does not come back until it ended, or got worse, after that."""
    if not last.status_by or name not in last.components or last.resolved_at is None or verdict.since is None:
        return True
    return verdict.since > last.resolved_at


def _began(facts: Facts, name: str, verdict: ComponentHealth, now: datetime) -> datetime:
    """First failed look, but not before the end of planned work that it began in."""
    at = verdict.since or now
    ends = [window.ends_at for window in facts.maintenance if window.covers(name, at)]
    return max([at, *ends]) if ends else at


def _login(facts: Facts, now: datetime) -> dict[str, Health]:
    """Return what became of log-in, where that is known and no part of planned work or of the outage itself.

    That it works is said only if it works wherever it is watched: one log-in that works says nothing of another.
    """
    failing = _failing(facts, now) if facts.cause is Cause.OUTAGE else {}
    watched = {name: verdict for name, verdict in facts.logins.items() if name not in facts.removed}
    known: dict[str, Health] = {
        name: verdict.health
        for name, verdict in watched.items()
        if verdict.health is not Health.UNKNOWN
        and not verdict.regional
        and name not in failing
        and not any(window.covers(name, now) for window in facts.maintenance)
    }
    if len(known) == len(watched):
        return known
    return {name: health for name, health in known.items() if health.severity}


def _relapse(draft: _Draft, kind: type[FailedAgain], facts: Facts, failing: Mapping[str, ComponentHealth]) -> None:
    for name, verdict in failing.items():
        _fails(draft, kind, facts, name, verdict)
        kind = ComponentWorse
    _raise_impact(draft)


def _fails(draft: _Draft, kind: type[FailedAgain], facts: Facts, name: str, verdict: ComponentHealth) -> None:
    what = kind(name, verdict.health, verdict.reason, verdict.detail, _login(facts, draft.now))
    draft.add(what, _began(facts, name, verdict, draft.now))


def _compare(draft: _Draft, facts: Facts, failing: Mapping[str, ComponentHealth]) -> None:
    """Tell what got worse or better since. A component without evidence stays as it was."""
    before = draft.now_open.failing
    for name, verdict in failing.items():
        old = before.get(name, Health.OPERATIONAL)
        if verdict.health.severity > old.severity:
            _fails(draft, ComponentWorse, facts, name, verdict)
        elif verdict.health.severity < old.severity:
            draft.add(ComponentBetter(name, verdict.health), draft.now)
    for name, health in before.items():  # fewer places see it than the quorum asks for: less, and not over
        verdict_now = facts.verdicts.get(name)
        if verdict_now is not None and verdict_now.regional and verdict_now.health.severity < health.severity:
            draft.add(ComponentBetter(name, verdict_now.health), draft.now)
    watched = [name for name in before if name not in facts.removed]
    good = [name for name in watched if name not in failing and _is_good(facts.verdicts.get(name))]
    if len(good) < len(watched):
        for name in good:
            better = ComponentBetter(name, Health.OPERATIONAL, unsaid=name in facts.restricted)
            draft.add(better, draft.now)
    _raise_impact(draft)


def _is_good(verdict: ComponentHealth | None) -> bool:
    return verdict is not None and verdict.health is Health.OPERATIONAL and not verdict.flapping


def _raise_impact(draft: _Draft) -> None:
    """Impact follows the worst component and never falls by a rule; what a person set stays."""
    incident = draft.now_open
    worst = max(incident.failing.values(), key=lambda health: health.severity, default=Health.OPERATIONAL)
    impact = IMPACT.get(worst, Impact.NONE)
    if RANK[impact] > RANK[incident.impact] and not incident.impact_by:
        draft.add(ImpactChanged(impact), draft.now)


def _recover(draft: _Draft, facts: Facts, failing: Mapping[str, ComponentHealth]) -> None:
    incident = draft.now_open
    if failing:
        return
    left = [name for name in incident.failing if name not in facts.removed]
    if incident.failing and not left:
        draft.add(ProbeRemoved(next(iter(incident.failing)), tuple(incident.failing)), draft.now)
        return
    verdicts = [facts.verdicts.get(name) for name in left]
    if not left or all(_is_good(verdict) for verdict in verdicts):
        draft.add(Recovering(tuple(left)), _good_since(verdicts, draft.now))


def _good_since(verdicts: Iterable[ComponentHealth | None], now: datetime) -> datetime:
    return max((v.good_since for v in verdicts if v is not None and v.good_since is not None), default=now)


def _resolve(draft: _Draft, facts: Facts, now: datetime, policy: Policy) -> None:
    """Resolve once every component was good, on fresh evidence, for the whole recovery window."""
    incident = draft.now_open
    watched = [name for name in incident.components if name not in facts.removed]
    verdicts = [facts.verdicts.get(name) for name in watched]
    if watched and not all(_is_good(v) and v is not None and v.good_since is not None for v in verdicts):
        return
    assert incident.good_since is not None
    good_since = max(incident.good_since, _good_since(verdicts, incident.good_since))
    seen_until = min((v.observed_at for v in verdicts if v is not None and v.observed_at is not None), default=now)
    if min(now, seen_until) - good_since >= timedelta(seconds=policy.recovery_window_s):
        failed_s = (incident.good_since - incident.started_at).total_seconds()
        draft.add(Resolved(max(0.0, failed_s), by_rule=True), now)


def _tell_registration(draft: _Draft, facts: Facts) -> None:
    for change in facts.registration:
        after = change.after
        what = RegistrationChanged(
            change.component,
            after.method,
            after.state,
            before=change.before.state if change.before else Registration.UNKNOWN,
            source=after.source,
            excerpt=after.excerpt,
            url=after.url,
            country_codes=after.country_codes,
            email_domains=after.email_domains,
            invite_required=after.invite_required,
            approval_required=after.approval_required,
            login=_login(facts, draft.now),
            failed_ratio=after.failed_ratio,
            places=after.differing,
        )
        draft.add(what, change.at)


def _tell_upstream(draft: _Draft, facts: Facts) -> None:
    for said in facts.upstream:
        draft.add(said, said.said_at)


def _tell_related(draft: _Draft, facts: Facts) -> None:
    """Say once that outages of other services began together with this one."""
    incident = draft.now_open
    asked_at = correlation.due(incident, draft.now)
    found = correlation.related(incident, facts.beside, asked_at) if asked_at is not None and facts.beside else ()
    if found:
        named = tuple((item.id, item.service) for item in found[: correlation.LISTED])
        what = Related(named, len(found), correlation.within_s(incident, found))
        draft.add(what, max(incident.started_at, *(item.started_at for item in found)))


def _publishing(impact: Impact, policy: Policy) -> Publishing:
    if impact is Impact.CRITICAL:
        return policy.publish_critical
    return policy.publish_major if impact is Impact.MAJOR else policy.publish_minor


def _publish(draft: _Draft, now: datetime, policy: Policy) -> None:
    """Publish when the impact needs no review (any more), or the review took too long."""
    incident = draft.now_open
    if incident.public or incident.hidden_by or not is_open(incident):
        return
    waited = now - incident.detected_at >= timedelta(seconds=policy.review_limit_s)
    if waited or _publishing(incident.impact, policy) is Publishing.AUTOMATIC:
        draft.add(Published(review_expired=waited), now)
