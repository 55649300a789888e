"""Proof that a failing target fails by itself, and what becomes of failures that turn out to be our own (D6).

Failures that are found to be shared (:mod:`monitor.core.doubt.network`) are ours at once. The rest count only once
something independent got through after they began, and they went on after that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from monitor.core.catalogue import Probe
from monitor.core.checks.probe_state import ProbeState, withdrawn
from monitor.core.checks.suspicion import CALM
from monitor.core.doubt.network import (
    TOGETHER_S,
    Here,
    Question,
    Targets,
    answered_for,
    began_together,
    is_another_cause,
    is_clean,
    passed_by,
    question,
    still_answers,
)
from monitor.core.doubt.sight import Sight, sight_of
from monitor.core.doubt.weighing import ENOUGH, Seen, looks_between, weight
from monitor.core.model.depth import DOUBTED, OURS, Depth
from monitor.core.model.observations import Result


def _proof(ask: Question, asker: str, here: Here, targets: Targets, now: datetime) -> datetime | None:
    """Return when something independent passed every gate that matters after a target began to fail; None if nothing.

    Our own trouble may stop one look here and the next one there. So while something independent fails as well, since
    about the same time, at whatever gate, only a good look speaks: who got a bad answer did not get through.
    """
    seen_here = list(here)
    at = answered_for(ask, asker, seen_here, targets, now)
    if at is None or ask.gate is Depth.SERVED or not _others_fail(ask, asker, seen_here, targets, now):
        return at
    good = answered_for(replace(ask, gate=Depth.SERVED), asker, seen_here, targets, now)
    return None if good is None else max(at, good)


def _others_fail(ask: Question, asker: str, here: Here, targets: Targets, now: datetime) -> bool:
    """Say whether something independent fails now, at any gate, and began to about when the asker did."""
    for name, sight in here:
        probe = targets.probes.get(name)
        if probe is None or sight is None or targets.group[name] == targets.group.get(asker, ""):
            continue
        failing = sight.reason in DOUBTED or sight.reason in OURS
        together = _was_hit(probe, sight, ask) or began_together(probe, sight, ask, now)
        if failing and together and sight.is_fresh(probe, now):
            return True
    return False


def _was_hit(probe: Probe, sight: Sight, ask: Question) -> bool:
    """Say whether a look of a failing target was found to be ours meanwhile: its failures only seem to begin later."""
    before = timedelta(seconds=TOGETHER_S + probe.interval_s + probe.timeout_s)
    return sight.ours_at is not None and ask.since is not None and sight.ours_at >= ask.since - before


def clear(
    probe: Probe, state: ProbeState, here: Iterable[tuple[str, ProbeState]], targets: Targets, now: datetime
) -> ProbeState:
    """Record proof that our own side works although the probe's newest look failed as if it did not (D6).

    ``here`` are the states of its location's probes, by id. Only a look that fails after that counts: else a network
    that came back would make an outage of the last thing that it broke.
    """
    if state.last_reason not in DOUBTED:
        return state  # good, or found to be ours: it asks nothing, and at which gate it stopped is not known any more
    start = state.since if state.partial or state.down else state.failing_since
    sight = sight_of(state)
    ask = question(sight, probe.target) if sight is not None else None
    if state.network_worked_at is not None or start is None or ask is None:
        return state
    states, ask = list(here), replace(ask, since=start)
    told = _weight(probe, state, ask, states, targets, now)
    if told is not None and told < ENOUGH:
        return state
    at = _proof(ask, probe.id, ((name, sight_of(other)) for name, other in states), targets, now)
    return replace(state, network_worked_at=at) if at is not None else state


def _weight(
    probe: Probe,
    state: ProbeState,
    ask: Question,
    here: Iterable[tuple[str, ProbeState]],
    targets: Targets,
    now: datetime,
) -> float | None:
    """Weigh what else was seen while a probe fails (:mod:`monitor.core.doubt.weighing`); None if nobody could tell."""
    others, own, until = list[Seen](), targets.group.get(probe.id, ""), state.last_failed_at or now
    since = state.suspicion.began_at or ask.since or now
    for name, item in here:
        other, sight = targets.probes.get(name), sight_of(item)
        if other is None or sight is None or targets.group[name] == own or not ask.could_answer(other):
            continue
        if not sight.is_fresh(other, now):
            continue
        passed_at = passed_by(other, sight, ask.gate, now)
        passed = passed_at is not None and passed_at >= since
        if not is_another_cause(other, sight, ask.since or now):
            good, failed = looks_between(other, item, since, until)
            others.append(Seen(targets.group[name], max(good, passed), failed))
        elif still_answers(sight, ask.gate) and sight.at >= since:
            others.append(Seen(targets.group[name], int(passed), int(not passed)))
    return weight(state.suspicion, others) if others else None


def forget(
    probe: Probe, state: ProbeState, result: Result, here: Iterable[tuple[str, ProbeState]], targets: Targets
) -> ProbeState:
    """Take back what speaks against a service when its failures turn out to be, or may well have been, our own.

    ``state`` is that before the look, ``here`` as for :func:`clear`. The first failures of a break of ours count until
    others were looked at. Left standing, they would page for one failure by chance once our side is well. So they go

    * with a look that is found to be ours, unless something independent passed their gate after they began;
    * with a good look, if an outage is still in doubt, or if something independent failed in the same seconds and
      nothing passed.

    An outage that was proven stays.
    """
    sight = sight_of(state)
    ask = question(sight, probe.target) if sight is not None else None
    if state.suspicion is CALM or ask is None or ask.since is None or (state.suspicion.down and not state.is_doubtful):
        return state
    if state.suspicion.down and result.reason not in OURS:
        told = _weight(probe, state, ask, here, targets, result.started_at)
        return state if told is not None and told > 0 else withdrawn(state)
    others = [
        (other, item)
        for name, item in here
        if (other := targets.probes.get(name)) is not None and targets.group[name] != targets.group.get(probe.id, "")
    ]
    if result.reason in OURS:
        seen_here = ((other.id, sight_of(item)) for other, item in others)
        vendors = _proof(ask, probe.id, seen_here, targets, result.started_at) is not None
    else:
        vendors = not _was_shared(ask, state.last_failed_at or ask.since, others)
    return state if vendors else withdrawn(state)


def _was_shared(ask: Question, until: datetime, others: Iterable[tuple[Probe, ProbeState]]) -> bool:
    """Say, when failures are over, whether something independent failed meanwhile and nothing passed their gate."""
    assert ask.since is not None
    failed = False
    for other, state in others:
        sight = sight_of(state)
        if sight is None:
            continue
        at = sight.passed_at(other, Depth.SERVED)
        if at is not None and ask.since <= at <= until and is_clean(sight, ask):
            return False
        failed = failed or any(
            when is not None and ask.since <= when <= until for when in (sight.failed_at, state.ours_at)
        )
    return failed
