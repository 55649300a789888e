"""Looks of the past that fell into planned work: what the work held back is told once it is known to be over."""

from __future__ import annotations

import pytest

from monitor.core.catalogue import Catalogue, Component, ComponentKind, Policy, Service
from monitor.core.commands import CancelMaintenance, ScheduleMaintenance
from monitor.core.model.incident_events import Cause
from monitor.core.model.states import Health, IncidentStatus
from monitor.core.replay import Judge

from .making import at, probe, results

API, WEB = "deepseek/api", "deepseek/web"
CHAT = probe(
    component=API, impact_when_down=Health.MAJOR, policy=Policy(recovery_window_s=3_000, stale_after_intervals=4)
)
WATCHED = Catalogue(
    services=(Service("deepseek", "DeepSeek"),),
    components=(
        Component(API, "deepseek", "API", ComponentKind.API),
        Component(WEB, "deepseek", "Web", ComponentKind.WEB),
    ),
    probes=(CHAT, probe("page", WEB)),
)
WORK_S = (900.0, 1_200.0)
WATCHING, BROKEN = IncidentStatus.MONITORING, IncidentStatus.INVESTIGATING
DOWN, WORKS, UNKNOWN = Health.MAJOR, Health.OPERATIONAL, Health.UNKNOWN


def judged(before: str, work_at: tuple[str, ...], off_s: float | None = None) -> Judge:
    """Return a judge after looks from the beginning on, who knows of planned work, which somebody may have ended."""
    judge = Judge(WATCHED)
    judge.record(list(results(" ".join(before), CHAT)))
    order = ScheduleMaintenance("deepseek", work_at, "Planned work", at(WORK_S[0]), at(WORK_S[1]))
    plan = judge.command(order, "alice", at(890)).subject
    if off_s is not None:
        judge.command(CancelMaintenance(plan), "alice", at(off_s))
    return judge


RECOVERS = "oooxxxx" + 20 * "o"


@pytest.mark.parametrize(
    ("seen", "since_s", "known_s", "work_at", "off_s", "status", "health"),
    [
        ("xxxxx", 1_050, 1_205, (API,), None, BROKEN, DOWN),
        ("xxxxx", 1_050, 1_205, (), None, BROKEN, DOWN),
        ("xxx", 1_020, 1_110, (API,), 1_100, BROKEN, DOWN),
        ("xxxxx", 1_050, 4_000, (API,), None, WATCHING, UNKNOWN),
        ("xxxxx", 1_050, 1_199, (API,), None, WATCHING, DOWN),
        ("xxxxx", 1_050, 1_205, (WEB,), None, BROKEN, DOWN),
        ("xxoooooooo", 900, 1_205, (API,), None, WATCHING, WORKS),
        ("xxxxx", 1_230, 1_360, (API,), None, BROKEN, DOWN),
    ],
    ids=[
        "still down when the work was over",
        "work at the whole service",
        "work that somebody ended",
        "so long ago that nobody knows",
        "the work still goes on",
        "work at another component",
        "whole again before the work was over",
        "after the work",
    ],
)
def test_no_incident_is_being_watched_beside_a_component_that_is_shown_as_down(
    seen: str,
    since_s: float,
    known_s: float,
    work_at: tuple[str, ...],
    off_s: float | None,
    status: IncidentStatus,
    health: Health,
) -> None:
    judge = judged(RECOVERS, work_at, off_s)
    past = list(results(" ".join(seen), CHAT, start_s=since_s))
    judge.record(past, at(known_s))
    incident, row = judge.latest("deepseek", Cause.OUTAGE), judge.store.component(API)
    assert incident is not None
    assert row is not None
    assert (incident.status, row.health) == (status, health)


def test_an_outage_that_outlived_planned_work_is_opened_when_its_looks_arrive() -> None:
    judge = judged(20 * "o", (API,))
    judge.record(list(results("x x x x x", CHAT, start_s=1_050)), at(1_205))
    incident = judge.latest("deepseek", Cause.OUTAGE)
    assert incident is not None
    assert (incident.status, incident.detected_at) == (BROKEN, at(1_205))
