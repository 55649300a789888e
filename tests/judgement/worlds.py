"""Random catalogues: dependencies, registration, log-in, witnesses, controls, two locations, planned work, routes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

from monitor.core.catalogue import (
    Catalogue,
    Component,
    ComponentKind,
    Planned,
    Policy,
    Probe,
    Proof,
    Publishing,
    Route,
    Service,
)
from monitor.core.maintenance import Maintenance
from monitor.core.model.alerting import Severity
from monitor.core.model.depth import Reach, by_address
from monitor.core.model.states import Health

KINDS = {
    "web": ComponentKind.WEB,
    "api": ComponentKind.API,
    "registration": ComponentKind.REGISTRATION,
    "login": ComponentKind.LOGIN,
}
PLACES = ("berlin", "tokyo")
POLICIES = (
    Policy(),
    Policy(shortest_outage_s=10.0, recovery_window_s=60.0, reopen_window_s=300.0, repeat_page_s=300.0),
    Policy(false_pages_per_year=10_000.0, recovery_window_s=30.0, repeat_page_s=120.0),
    Policy(early_looks=False, slo_target_ratio=0.999, repeat_page_s=600.0),
    Policy(
        shortest_outage_s=5.0,
        failure_ratio=0.45,
        false_pages_per_year=100.0,
        recovery_window_s=30.0,
        publish_minor=Publishing.REVIEW,
        publish_major=Publishing.REVIEW,
        publish_critical=Publishing.REVIEW,
        review_limit_s=120.0,
    ),
    Policy(publish_critical=Publishing.REVIEW, quorum_locations=2, throttled_after=2, flap_start_percent=20.0),
    Policy(
        false_pages_per_year=10_000.0,
        flap_start_percent=15.0,
        flap_stop_percent=5.0,
        repeat_page_s=60,
    ),
)


def world(rng: Random, start: datetime) -> Catalogue:
    """Return a random catalogue of two or three services."""
    names = ["alpha", "beta", "gamma"][: rng.choice((2, 2, 3))]
    services = tuple(Service(name, name.title(), public=rng.random() < 0.9) for name in names)
    components: list[Component] = []
    probes: list[Probe] = []
    for service in names:
        for slug in rng.sample(sorted(KINDS), rng.choice((1, 2, 2, 3))):
            above = tuple(rng.sample([item.id for item in components], min(len(components), rng.choice((0, 0, 1, 2)))))
            component = Component(f"{service}/{slug}", service, slug, KINDS[slug], depends_on=above)
            components.append(component)
            probes += _probes(rng, component)
    if rng.random() < 0.6:
        where = rng.choice((PLACES, PLACES[:1]))
        target = rng.choice(("control.example", "192.0.2.1"))
        probes.append(
            Probe("control", "controls/web", "tcp", 30, 5.0, where, control=True, target=target, reach=_reach(target))
        )
    return Catalogue(services, tuple(components), tuple(probes), _routes(rng, names), "1", _planned(rng, names, start))


def _reach(target: str) -> Reach:
    """Let a control that has a name speak for certificates and answers, and one that is an address for a port alone."""
    return Reach.TCP if by_address(target) else Reach.HTTP


def _probes(rng: Random, component: Component) -> list[Probe]:
    slug, policy = component.id.replace("/", "-"), rng.choice(POLICIES)
    where = rng.choice((PLACES, PLACES, PLACES[:1], PLACES[1:]))
    interval = rng.choice((20, 30, 30, 60))
    key = component.service if len(slug) % 2 else ""  # some share one
    first = Probe(slug, component.id, "http", interval, 5.0, where, policy, target=f"{slug}.example", key=key)
    found = [first]
    if rng.random() < 0.3:
        worst = rng.choice((Health.MAJOR, Health.PARTIAL, Health.DEGRADED))
        proves = Proof.WORK if worst is Health.MAJOR else Proof.EDGE
        second = replace(first, id=f"{slug}-2", impact_when_down=worst, proves=proves)
        found.append(replace(second, disabled=rng.choice(("", "", "no key"))))
    if rng.random() < 0.4:
        found.append(replace(first, id=f"{slug}-page", kind="upstream", witness=True, locations=PLACES[:1]))
    return found


def _routes(rng: Random, names: list[str]) -> tuple[Route, ...]:
    both, everything = (Severity.PAGE, Severity.TICKET), tuple(Severity)
    offered = (
        Route("oncall", ("pager", "pager"), severities=rng.choice((both, everything))),
        Route(
            "manager", ("mail",), escalate_after_s=rng.choice((60.0, 120.0)), severities=rng.choice((both, both[:1]))
        ),
        Route("desk", ("chat", "mail"), services=(rng.choice(names),), severities=everything),
        Route("tickets", ("tracker",), severities=(Severity.TICKET,)),
    )
    return tuple(route for route in offered if rng.random() < (0.9 if route.id == "oncall" else 0.45))


def _planned(rng: Random, names: list[str], start: datetime) -> tuple[Planned, ...]:
    if rng.random() < 0.7:
        return ()
    begins = start + timedelta(minutes=rng.choice((-30, 0, 5, 20)))
    ends = begins + timedelta(minutes=rng.choice((5, 40)))
    repeat = rng.choice(("", "daily"))
    return (Planned(Maintenance("m1", rng.choice(names), (), begins, ends, repeat), "Planned work"),)


def changed(rng: Random, catalogue: Catalogue) -> Catalogue:
    """Return the catalogue after somebody edited it."""
    probes, components, version = list(catalogue.probes), list(catalogue.components), str(int(catalogue.version) + 1)
    match rng.randrange(6):
        case 0 if len(probes) > 1:
            probes.pop(rng.randrange(len(probes)))
        case 1:
            place = rng.randrange(len(probes))
            probes[place] = replace(probes[place], disabled="" if probes[place].disabled else "no key")
        case 2:
            place = rng.randrange(len(probes))
            probes[place] = replace(
                probes[place], policy=rng.choice(POLICIES), locations=rng.choice((PLACES, PLACES[:1]))
            )
        case 3 if len(components) > 1:
            gone = components.pop(rng.randrange(len(components)))
            probes = [probe for probe in probes if probe.component != gone.id]
        case 4:
            return replace(catalogue, routes=_routes(rng, [item.id for item in catalogue.services]), version=version)
        case _:
            fresh = [item for item in ("web", "api", "login") if f"alpha/{item}" not in {c.id for c in components}]
            if fresh:
                added = Component(f"alpha/{fresh[0]}", "alpha", fresh[0], KINDS[fresh[0]])
                components.append(added)
                probes += _probes(rng, added)
    return replace(catalogue, probes=tuple(probes), components=tuple(components), version=version)
