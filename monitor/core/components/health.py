"""Probes at their locations → health of a component.

The fresh locations of a probe vote, the worst probe decides. The states that they vote with come from
:mod:`monitor.core.checks.steps`; whether a location sees anything at all is decided in
:mod:`monitor.core.doubt.network`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from monitor.core.catalogue import Policy, Probe
from monitor.core.checks.probe_state import ProbeState
from monitor.core.doubt.keys import is_refused, refused_keys
from monitor.core.model.message_codes import MessageCode, coded
from monitor.core.model.reasons import OF_AN_ENGINE, Reason
from monitor.core.model.states import Health


@dataclass(frozen=True, slots=True)
class ComponentHealth:
    """Verdict of a component, with the evidence for it."""

    health: Health
    since: datetime | None = None
    """Start of the present health; for a failure the first failed look."""
    reason: Reason = Reason.OK
    detail: str = ""
    observed_at: datetime | None = None
    """The newest evidence; ``None`` if there never was any."""
    good_since: datetime | None = None
    """Since when all its evidence is good without a break; ``None`` while any is not."""
    agreeing: int = 0
    """Locations behind the verdict."""
    voters: int = 0
    """Locations with fresh evidence. One voter means *single vantage point*, and is said so."""
    regional: bool = False
    """True when fewer locations see the trouble than the quorum asks for: shown, but no incident."""
    suspects: tuple[str, ...] = ()
    """The locations that stand alone."""
    flapping: bool = False
    changed_at: datetime | None = None
    """When the newest of its probes and locations changed, or fell silent: a worse verdict held until then."""


SILENT_FOR = timedelta(hours=1)
"""So long what a location saw before it fell silent speaks against health."""
LEARNING = "learning"
"""How the detail of a good look begins that was judged by its status alone, as its page is not known yet."""
UNSEEN = ComponentHealth(Health.UNKNOWN, reason=Reason.NOT_RUNNING)


def quorum(voters: int, policy: Policy) -> int:
    """Fresh locations that must agree: max(2, ⌈N/2⌉) of several, 1 of one, and never fewer than the policy says."""
    if voters <= 1:
        return 1
    return min(voters, max(2, math.ceil(voters / 2), policy.quorum_locations))


def is_fresh(probe: Probe, state: ProbeState, now: datetime) -> bool:
    """Say whether the probe's newest evidence is younger than :func:`stale_after`, and still says something.

    What was seen before the key was refused says nothing of now, however young it is.
    """
    young = state.evidence_at is not None and now - state.evidence_at <= stale_after(probe)
    return young and not is_refused(state, now)


def stale_after(probe: Probe) -> timedelta:
    """How long evidence of the probe holds: so many intervals, and its own deadline on top."""
    return timedelta(seconds=probe.policy.stale_after_intervals * probe.interval_s + probe.timeout_s)


def component_health(probes: Sequence[tuple[Probe, ProbeState]], now: datetime) -> ComponentHealth:
    """Return the verdict over all probes and locations of one component.

    Witnesses, controls and switched-off probes have no voice. The worst probe with fresh evidence decides. A probe
    whose failures our own network may have caused (:func:`clear`), or that was failing when its evidence ran out,
    keeps the component from being operational: it becomes unknown.

    Green means that we saw it work. So of the probes that see deepest (:class:`Proof`) one at least must have fresh
    evidence: an edge that answers says nothing of a question that is refused at every look.
    """
    by_probe: dict[str, list[tuple[Probe, ProbeState]]] = {}
    for probe, state in probes:
        if not (probe.witness or probe.control or probe.disabled):
            by_probe.setdefault(probe.id, []).append((probe, state))
    if not by_probe:
        return UNSEEN
    refused = refused_keys((pair for pairs in by_probe.values() for pair in pairs), now)
    judged = [
        (pairs[0][0], *_overtaken(pairs[0][0], *_probe_health(pairs[0][0], [s for _, s in pairs], now), refused))
        for pairs in by_probe.values()
    ]
    verdicts = [(verdict, holds) for _, verdict, holds in judged]
    known = [verdict for verdict, _ in verdicts if verdict.health is not Health.UNKNOWN]
    worst = max(known, key=_how_bad, default=None)
    unknown = [verdict for verdict, _ in verdicts if verdict.health is Health.UNKNOWN]
    observed = max((v.observed_at for v, _ in verdicts if v.observed_at is not None), default=None)
    held = [verdict for verdict, holds in verdicts if holds]
    changed = max((verdict.changed_at for verdict in known if verdict.changed_at is not None), default=None)
    if worst is None or (worst.health is Health.OPERATIONAL and held):
        return replace((held or unknown)[0], observed_at=observed, changed_at=changed)
    if worst.health is Health.OPERATIONAL and (unproven := _unproven(judged, now)):
        return replace(unproven, changed_at=changed)
    good = [verdict.good_since for verdict in known]
    began = max((verdict.since for verdict in known if verdict.since is not None), default=None)
    alike = [v.since for v in known if v.health.severity == worst.health.severity and v.since is not None]
    learning = worst.health is Health.OPERATIONAL and any(v.detail.startswith(LEARNING) for v in known)
    return replace(
        worst,
        detail=LEARNING if learning else worst.detail,
        since=min(alike, default=None) if worst.health.severity else began,
        changed_at=changed,
        observed_at=observed,
        good_since=None if None in good else max(at for at in good if at is not None),
        flapping=any(verdict.flapping for verdict in known),
    )


def _how_bad(verdict: ComponentHealth) -> tuple[int, bool, bool]:
    return verdict.health.severity, not verdict.regional, verdict.reason in OF_AN_ENGINE


def _unproven(judged: Sequence[tuple[Probe, ComponentHealth, bool]], now: datetime) -> ComponentHealth | None:
    """Return the newest word of the probes that see deepest when none of them can tell; ``None`` when one can.

    It keeps their own last evidence as ``observed_at``: what shallower probes saw meanwhile proves nothing of this.
    """
    deepest = max(probe.proves.depth for probe, _, _ in judged)
    deep = [verdict for probe, verdict, _ in judged if probe.proves.depth == deepest]
    if any(verdict.health is not Health.UNKNOWN for verdict in deep):
        return None
    looked = [verdict for verdict in deep if verdict.observed_at is not None]
    return max(looked, key=lambda verdict: verdict.observed_at or now, default=deep[0])


def _overtaken(
    probe: Probe, verdict: ComponentHealth, holds: bool, refused: Mapping[str, datetime]
) -> tuple[ComponentHealth, bool]:
    """Return unknown where a probe was good with a key that another probe has found refused since."""
    since = refused.get(probe.key)
    if since is None or verdict.health.severity or verdict.observed_at is None or verdict.observed_at >= since:
        return verdict, holds
    return ComponentHealth(Health.UNKNOWN, since, Reason.AUTH, observed_at=verdict.observed_at), holds


def _probe_health(probe: Probe, states: Sequence[ProbeState], now: datetime) -> tuple[ComponentHealth, bool]:
    """Let one probe's locations vote, and say whether trouble without fresh evidence holds the component back."""
    fresh = [state for state in states if is_fresh(probe, state, now)]
    voters = [state for state in fresh if not state.is_doubtful]
    if fresh and not voters:
        doubt = coded(MessageCode.NOT_CONFIRMED)
        seen = max(state.evidence_at for state in fresh if state.evidence_at is not None)
        return ComponentHealth(Health.UNKNOWN, fresh[0].since, Reason.NETWORK, doubt, seen), True
    if not voters:
        return _stale_health(probe, states), any(state.health.severity for state in states)
    needed = quorum(len(voters), probe.policy)
    ranks = sorted((state.health.severity for state in voters), reverse=True)
    agreed = ranks[needed - 1]
    if not agreed and (gone := _gone_in_trouble(probe, states, ranks, now)):
        last = max(state.evidence_at for state in gone if state.evidence_at is not None)
        newest = max(state.evidence_at for state in voters if state.evidence_at is not None)
        return ComponentHealth(Health.UNKNOWN, last + stale_after(probe), Reason.NOT_RUNNING, observed_at=newest), True
    regional = not agreed and bool(ranks[0])
    behind = [state for state in voters if state.health.severity >= (agreed or ranks[0])]
    health = Health.DEGRADED if regional else _BY_SEVERITY[min(agreed, max(1, probe.impact_when_down.severity))]
    starts = [state.since for state in behind if state.since is not None]
    good = [state.good_since for state in voters]
    silent = [state.evidence_at + stale_after(probe) for state in states if state not in fresh and state.evidence_at]
    witness = max(behind, key=lambda state: state.evidence_at or now)
    return (
        ComponentHealth(
            health,
            since=min(starts, default=None) if ranks[0] else max(starts, default=None),
            reason=witness.reason,
            detail=witness.detail,
            observed_at=max(state.evidence_at for state in voters if state.evidence_at is not None),
            good_since=None if None in good else max(at for at in good if at is not None),
            agreeing=len(behind),
            voters=len(voters),
            regional=regional,
            suspects=tuple(state.location for state in behind) if regional else (),
            flapping=any(state.flapping for state in voters),
            changed_at=max([*silent, *(state.since for state in voters if state.since is not None)], default=None),
        ),
        False,
    )


def _gone_in_trouble(
    probe: Probe, states: Sequence[ProbeState], ranks: Sequence[int], now: datetime
) -> list[ProbeState]:
    """Return the locations that fell silent while they saw trouble, if a quorum with them would still see it.

    To leave is no vote for health. For an hour what they saw last keeps the others from saying that all is well.
    """
    gone = [
        state
        for state in states
        if state.location in probe.locations
        and state.health.severity
        and not (state.is_doubtful or is_fresh(probe, state, now))
        and state.evidence_at is not None
        and now - state.evidence_at <= SILENT_FOR
    ]
    together = sorted([*ranks, *(state.health.severity for state in gone)], reverse=True)
    return gone if gone and together[quorum(len(together), probe.policy) - 1] else []


_BY_SEVERITY = (Health.OPERATIONAL, Health.DEGRADED, Health.PARTIAL, Health.MAJOR)


def _stale_health(probe: Probe, states: Sequence[ProbeState]) -> ComponentHealth:
    newest = max(states, key=lambda state: (state.tick is not None, state.tick))
    evidence = max((state.evidence_at for state in states if state.evidence_at is not None), default=None)
    told = newest.last_reason if not newest.last_reason.outcome.is_evidence else Reason.NOT_RUNNING
    return ComponentHealth(
        Health.UNKNOWN,
        since=newest.key_refused_at or (evidence + stale_after(probe) if evidence is not None else newest.tick),
        reason=told,
        detail=newest.last_detail if told is newest.last_reason else "",
        observed_at=evidence,
    )
