"""Stories of what looks read: sign-up, the vendor's page, certificates, warnings, latencies; and of others' alerts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from monitor.core.alerts.conditions import alert_key
from monitor.core.alerts.warnings import ALERTS
from monitor.core.catalogue import ComponentKind, Probe
from monitor.core.entities import Alert
from monitor.core.model.alert_rules import Rule
from monitor.core.model.alerting import AlertState, Severity
from monitor.core.model.observations import Certificate, ChatTimes, Observation
from monitor.core.model.reasons import Reason
from monitor.core.model.registration import Method, MethodReading, Registration, Source
from monitor.core.model.states import Health, Impact, IncidentStatus
from monitor.core.model.upstream import UpstreamIncident, UpstreamReading, UpstreamUpdate
from monitor.core.model.warning_codes import AnyWarning, WarningCode, detailed
from tests.judgement.steps import Foreign, Inherit, RollUp, Sweep
from tests.judgement.stories.stage import Seen, Stage
from tests.judgement.stories.telling import failing, told
from tests.judgement.worlds import PLACES

WEEK = timedelta(weeks=1)


def _sign_ups(stage: Stage) -> list[Probe]:
    """Return the probes at which people sign up; where there is none, any."""
    kinds = {item.id: item.kind for item in stage.catalogue.components}
    found = [item for item in stage.looking if kinds.get(item.component) is ComponentKind.REGISTRATION]
    return found or stage.some(1)


def _reading(stage: Stage, state: Registration, method: Method, source: Source) -> MethodReading:
    rng = stage.rng
    codes = rng.choice(((), ("86",), ("86", "852"))) if state is Registration.RESTRICTED else ()
    words = f"{method}: {state} \u6ce8\u518c"
    found = MethodReading(method, state, source, codes, invite_required=rng.random() < 0.1, excerpt=words)
    share = rng.choice((None, 0.31, 0.69, 0.74, 1.0)) if state is Registration.FAILING else None
    return replace(found, failed_ratio=share)


@told
def sign_up(stage: Stage) -> None:
    """Ways to sign up open, close, fail, contradict each other, and are not read for a while."""
    rng, probes = stage.rng, _sign_ups(stage)
    if rng.random() < 0.5:
        _sign_up_fails(stage)
        return
    ways = rng.sample([Method.EMAIL, Method.PHONE, Method.ANY], 2)
    stage.rounds(2, failing(probes, _opened(stage, ways, Registration.OPEN)), busy=False)
    for _ in range(rng.randint(2, 4)):
        state = rng.choice(list(Registration))
        stage.rounds(rng.randint(1, 4), failing(probes, _opened(stage, ways, state)))
    if rng.random() < 0.4:
        stage.wait(timedelta(minutes=61), sweeps=1)
    stage.rounds(rng.randint(2, 8), failing(probes, _opened(stage, ways, Registration.OPEN)))
    stage.add(Sweep(stage.moment()))


def _opened(stage: Stage, ways: Sequence[Method], state: Registration) -> Observation:
    source = stage.rng.choice((Source.CONFIG_ENDPOINT, Source.CONFIG_ENDPOINT, Source.PAGE_TEXT))
    return Observation(Reason.OK, registration=tuple(_reading(stage, state, way, source) for way in ways))


@told
def sign_up_closes(stage: Stage) -> None:
    """Registration is closed for a while, and then open again, with log-in beside it."""
    probes = _sign_ups(stage)
    for state, count in ((Registration.OPEN, 2), (Registration.CLOSED, 4), (Registration.OPEN, 8)):
        reading = (_reading(stage, state, Method.EMAIL, Source.CONFIG_ENDPOINT),)
        stage.rounds(count, failing(probes, Observation(Reason.OK, registration=reading)))
        stage.add(Sweep(stage.moment()))


def _sign_up_fails(stage: Stage) -> None:
    """Sign-up is open by policy and fails: everywhere or at one place, as a source tells it that a policy cannot."""
    rng, probes = stage.rng, _sign_ups(stage)
    way, place = rng.choice([Method.EMAIL, Method.ANY]), rng.choice(PLACES)
    policy = _reading(stage, Registration.OPEN, way, Source.CONFIG_ENDPOINT)
    source = rng.choice((Source.OFFICIAL_TEXT, Source.PAGE_TEXT, Source.ATTEMPT))
    stage.rounds(2, failing(probes, Observation(Reason.OK, registration=(policy,))), busy=False)
    for _ in range(rng.randint(1, 3)):
        broken = _reading(stage, Registration.FAILING, way, source)
        everywhere = rng.random() < 0.4
        fails, works = (Observation(Reason.OK, registration=said) for said in ((policy, broken), (policy,)))
        silent = rng.random() < 0.2

        def choose(
            probe: Probe,
            here: str,
            _number: int,
            fails: Observation = fails,
            works: Observation = works,
            everywhere: bool = everywhere,
            silent: bool = silent,
        ) -> Seen:
            if probe not in probes:
                return Reason.OK
            if silent and here == place:
                return Reason.UNREADABLE
            return fails if everywhere or here == place else works

        stage.rounds(rng.randint(2, 5), choose)
    if rng.random() < 0.4:
        stage.wait(timedelta(minutes=rng.choice((61, 25 * 60))), sweeps=1)
    mended = (policy, _reading(stage, Registration.OPEN, way, source))
    stage.rounds(rng.randint(2, 6), failing(probes, Observation(Reason.OK, registration=mended)))
    stage.add(Sweep(stage.moment()))


@told
def the_vendor_says(stage: Stage) -> None:
    """The vendor's page tells of an incident, before, during or after ours; or cannot be read."""
    rng = stage.rng
    service = rng.choice([item.component.partition("/")[0] for item in stage.witnesses] or stage.services)
    pages = [item for item in stage.witnesses if item.component.partition("/")[0] == service]
    failed = stage.of_service(service)
    stage.calm(2)
    began = stage.now
    for number, indicator in enumerate((Health.OPERATIONAL, Health.MAJOR, Health.MAJOR, Health.OPERATIONAL)):
        page: Seen = Observation(Reason.OK, upstream=_page(stage, service, began, number, indicator))
        page = page if rng.random() < 0.9 else Reason.UNREADABLE
        trouble = Reason.SERVER_ERROR if number in (1, 2) else Reason.OK
        for _ in range(rng.randint(1, 4)):
            stage.round(
                lambda probe, _place, _n, page=page, trouble=trouble: (  # type: ignore[misc]  # bound now
                    page if probe in pages else trouble if probe in failed else Reason.OK
                )
            )
            stage.between()


def _page(stage: Stage, service: str, began: datetime, number: int, indicator: Health) -> UpstreamReading:
    states = (IncidentStatus.INVESTIGATING, IncidentStatus.IDENTIFIED, IncidentStatus.RESOLVED)
    updates = tuple(
        UpstreamUpdate(began + timedelta(seconds=20 * place), state, f"We are {state.value} \u2026")
        for place, state in enumerate(states[:number])
    )
    ours = tuple(item.component for item in stage.of_service(service))[: stage.rng.choice((0, 1))]
    over = stage.now if number == len(states) else None
    name = stage.rng.choice(("Elevated errors", "Sign-up is closed", "API sign up errors"))
    item = UpstreamIncident(f"i-{began:%H%M%S}", name, states[max(0, number - 1)], Impact.MAJOR, began, ours=ours)
    item = replace(item, resolved_at=over, updates=updates)
    return UpstreamReading("statuspage", "https://status.example", indicator, incidents=(item,) if updates else ())


@told
def certificates(stage: Stage) -> None:
    """Certificates near their end, and a new one."""
    days = stage.rng.sample((-1, 2, 10, 90), 3)
    probes = stage.some()
    for left in days:
        found = Certificate(stage.now + timedelta(days=left), "CN=a", "CN=b", f"{left:064x}"[-64:], True)
        seen = Observation(Reason.CERTIFICATE_EXPIRING if left < 14 else Reason.OK, certificate=found)
        stage.rounds(stage.rng.randint(1, 3), failing(probes, seen))


@told
def warned(stage: Stage) -> None:
    """Looks with warnings, few or all there are, that alert somebody and stay away again."""
    rng, probes = stage.rng, stage.some(2)
    many = rng.sample(list(ALERTS), rng.choice((1, 2, len(ALERTS))))
    codes: tuple[AnyWarning, ...] = (*many, WarningCode.TLS_STRICT, detailed(WarningCode.MODEL_CHANGED, "from a to b"))
    reason = rng.choice((Reason.OK, Reason.OK, Reason.UNREADABLE))
    stage.rounds(rng.randint(1, 4), failing(probes, Observation(reason, "moved", warnings=codes)))
    stage.rounds(rng.randint(0, 5), failing([], Reason.OK))
    stage.add(Sweep(stage.moment()))


@told
def slower_than_usual(stage: Stage) -> None:
    """Three weeks in which an hour went as usual, and a fourth in which it does not; then it does again."""
    probes, five = stage.some(2), timedelta(minutes=5)
    before, stage.tick = stage.tick, five
    hour = stage.now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=2)
    usual = Observation(Reason.OK, chat=ChatTimes(ttft_s=stage.rng.choice((0.5, 0.9))))
    late = Observation(Reason.OK, chat=ChatTimes(ttft_s=stage.rng.choice((4.0, 9.0))))
    for week in range(3):
        stage.now = hour + week * WEEK
        stage.rounds(12, failing(probes, usual), probes=probes, busy=False)
        stage.add(RollUp(stage.moment()))
    stage.now = hour + 3 * WEEK
    stage.check_in()
    for number in range(16):
        stage.round(failing(probes, late if number < 8 else usual), number, probes)
        if number in (5, 6, 7, 12, 14, 15):
            stage.add(RollUp(stage.moment()))
        stage.between()
    stage.tick = before


@told
def budgets_burn(stage: Stage) -> None:
    """One look in four fails for half an hour: too few to be an outage, or one that nobody was told of."""
    rng, probes = stage.rng, stage.some(2)
    before, stage.tick = stage.tick, timedelta(seconds=20)
    every = rng.choice((4, 5, 6))

    def choose(probe: Probe, _place: str, number: int) -> Seen:
        return Reason.STATUS if probe in probes and number % every == 0 else Reason.OK

    for part in range(4):
        stage.rounds(rng.choice((12, 18)), choose, busy=part == 3, probes=probes)
        stage.add(RollUp(stage.moment()))
    stage.tick = before


@told
def foreign(stage: Stage) -> None:
    """An Alertmanager sends its own alerts, and ends some."""
    rng = stage.rng
    for _ in range(rng.randint(1, 3)):
        alerts = [_foreign(stage, name) for name in rng.sample(("HostDown", "DiskFull", "Slow"), rng.randint(1, 3))]
        stage.add(Foreign({"version": "4", "alerts": alerts}, stage.moment()))
        stage.calm(1, busy=True)


def _foreign(stage: Stage, name: str) -> dict[str, Any]:
    rng = stage.rng
    labels = {"alertname": name, "severity": rng.choice(("page", "warning", "none"))}
    labels |= rng.choice(
        ({}, {"service": "alpha"}, {"component": stage.looking[0].component}, {"instance": "host:9100"})
    )
    return {
        "status": rng.choice(("firing", "firing", "resolved")),
        "labels": labels,
        "annotations": {"summary": f"{name} \u2260 ok"},
        "startsAt": (stage.now - timedelta(minutes=3)).isoformat(),
        "fingerprint": f"{len(name):x}",
    }


@told
def inherited(stage: Stage) -> None:
    """An alert stands open that another version fired for a reason that is ours: nobody is told of it by this one."""
    probe = stage.rng.choice(stage.looking)
    at, service = stage.moment(), probe.component.partition("/")[0]
    key = alert_key(service, probe.component, Rule.UPSTREAM, f"inherited {at}")
    loud = stage.rng.choice((Severity.PAGE, Severity.TICKET))
    facts = {"reason": stage.rng.choice((Reason.NETWORK, Reason.QUOTA)).value}
    name = f"{at:%Y%m%dT%H%M%S%f}-inherited"
    alert = Alert(name, key, Rule.UPSTREAM, loud, AlertState.FIRING, service, probe.component, at, at, summary=facts)
    stage.add(Inherit(alert, at))
    stage.last = at + timedelta(seconds=1)
    stage.add(Sweep(stage.last))
    stage.calm(2, busy=True)
