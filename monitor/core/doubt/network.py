"""Is it them, or is it us? A worker whose own side is broken is *blind*: its failures are no evidence.

Our resolver, line, clock, an inspecting proxy or a captive portal make everybody's looks fail at one gate
(:mod:`monitor.core.model.depth`), whatever the reason. So failures count only where they are one service's own:

* **Shared** (:func:`shared`): at least two independent services, and 70 % of those that tell, fail at one gate, and
  began to within an interval or so of each other; or every control target that could pass it fails. A control that
  passes it speaks against that, one that never gets as far (an open port, for certificates) says nothing.
* **Not answered for** (D6, :mod:`monitor.core.doubt.proof`): shared failures are found only after several targets were
  looked at, which is too late for the first of them. So a failure is believed once something independent passed that
  gate after it began, and it went on after that. Where nothing else could pass it there is no telling, and it counts.

With fewer than two services, or one and no control, nothing can be doubted; ``chatwatch check`` says so. What the rule
takes for ours and what it costs is measured by ``python -m tests.bench doubt``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from itertools import groupby

from monitor.core.catalogue import Catalogue, Probe
from monitor.core.doubt.independence import CONTROL, groups
from monitor.core.doubt.sight import SEES, STEADY, Blindness, Sight
from monitor.core.model.depth import DOUBTED, OURS, Depth, Reach, by_address, needed, passes
from monitor.core.model.message_codes import MessageCode, coded
from monitor.core.model.reasons import OF_A_CLOCK, Reason
from monitor.core.schedule import next_tick, slot

BLIND_RATIO = 0.7
"""Share of the independent services that must fail together. Three of four, as one may lie on our side of the break."""
FEWEST_SERVICES = 2
"""With fewer services only control targets can tell."""
TOGETHER_S = 60.0
"""Failures that began further apart than this and an interval have causes of their own."""
TOO_LONG = timedelta(hours=1)
"""A target that fails for so long, or never answered, is out of order or out of our reach: it is no witness."""
HOW = {
    Depth.TRUSTED: MessageCode.FAIL_IN_HANDSHAKE,
    Depth.ANSWERED: MessageCode.FAIL_BEFORE_ANSWER,
    Depth.SERVED: MessageCode.FAIL_WITH_ANSWERS,
}


@dataclass(frozen=True)
class Targets:
    """The probes of a catalogue and who of them is independent of whom."""

    probes: Mapping[str, Probe]
    group: Mapping[str, str]


def make_targets(catalogue: Catalogue) -> Targets:
    """Return the probes of a catalogue that are not switched off."""
    return Targets({probe.id: probe for probe in catalogue.probes if not probe.disabled}, groups(catalogue))


@dataclass(frozen=True, slots=True)
class Question:
    """A failure that is asked about."""

    gate: Depth
    """Where it stopped."""
    names: bool
    """True if a name did not resolve, or led to nobody who answers: a target that is an address says nothing to that.
    A name server may lie, and the addresses of a family (IPv6) may lead nowhere while those of the other are fine."""
    unresolved: bool
    """True if a name did not resolve."""
    since: datetime | None
    """When it began; None if it was found to be ours before."""

    @property
    def kind(self) -> tuple[Depth, bool, bool]:
        """Everything but when it began."""
        return self.gate, self.names, self.unresolved

    def could_answer(self, probe: Probe) -> bool:
        """Say whether a good look of a probe speaks for our own side here."""
        return passes(probe.reach, self.gate) and not (self.names and by_address(probe.target))


def question(sight: Sight, target: str) -> Question | None:
    """Return what a failing target asks; None for one whose newest look did not fail as ours might."""
    if sight.reason not in DOUBTED and sight.reason not in OURS:
        return None
    gate = needed(sight.reason)
    unresolved = sight.reason is Reason.DNS
    names = unresolved or (gate is Depth.REACHED and not by_address(target))
    return Question(gate, names, unresolved, sight.failing_since)


def blindness(sights: Mapping[str, Sight], targets: Targets, now: datetime) -> Blindness:
    """Say whether a location is blind to anything, from what all its probes saw, by id.

    Most failures are settled by one pass for all that stopped at the same gate: in a storm there are hundreds of them,
    and this is asked at each.
    """
    known = ((targets.probes.get(name), sights[name]) for name in sights)
    asked = {ask for probe, sight in known if probe is not None and (ask := question(sight, probe.target)) is not None}
    ordered = sorted(asked, key=lambda one: (*one.kind, one.since or now))
    for _, alike in groupby(ordered, key=lambda one: one.kind):
        asks = list(alike)
        may_be, answered_at = _outlook(asks[0], sights, targets, now)
        for ask in asks if may_be else ():
            if ask.since is not None and answered_at is not None and ask.since < answered_at:
                continue
            if why := shared(ask, sights, targets, now):
                return why
    return SEES


def _outlook(
    ask: Question, sights: Mapping[str, Sight], targets: Targets, now: datetime
) -> tuple[bool, datetime | None]:
    """Say whether failures like this one, whenever they began, may be shared, and until when all are the targets' own.

    Leaves beginnings out of account, so it never rules out what :func:`shared` would find.
    """
    fails, passed = set[str](), set[str]()
    answered_at: datetime | None = None
    for name, sight in sights.items():
        probe = targets.probes.get(name)
        if probe is None or not sight.is_fresh(probe, now):
            continue
        gate = _gate(probe.reach, ask.gate)
        if sight.fails(gate):
            if sight.fails_alike(gate):
                fails.add(targets.group[name])
        elif ask.could_answer(probe) and sight.passed_at(probe, ask.gate) == sight.at:
            if not sight.is_steady:
                continue
            passed.add(targets.group[name])
            clean = sight.failed_at is None or sight.reason in DOUBTED or sight.at - sight.failed_at >= STEADY
            if ask.gate > Depth.REACHED and clean:
                answered_at = sight.at if answered_at is None else max(answered_at, sight.at)
    if any(name.startswith(CONTROL) for name in passed):
        return False, None
    fails -= passed
    if any(name.startswith(CONTROL) for name in fails) or (ask.unresolved and len(fails) > 1 and not passed):
        return True, answered_at
    return len(fails) >= FEWEST_SERVICES and len(fails) >= BLIND_RATIO * len(passed), answered_at


def shared(ask: Question, sights: Mapping[str, Sight], targets: Targets, now: datetime) -> Blindness:
    """Say whether a failure is shared by the location as a whole, and so our own."""
    fails, others, passed, reasons = set[str](), set[str](), set[str](), set[Reason]()
    for name, sight in sights.items():
        probe = targets.probes.get(name)
        if probe is None or not sight.is_fresh(probe, now):
            continue
        group = targets.group[name]
        gate = _gate(probe.reach, ask.gate)
        if sight.fails(gate):
            if ask.since is None or sight.failing_since is None or ask.since - sight.failing_since <= TOO_LONG:
                others.add(group)
            cut_off = probe.control and _is_cut_off(sight, ask, sights, targets)
            if sight.fails_alike(gate) and began_together(probe, sight, ask, now) and not cut_off:
                fails.add(group)
                reasons.add(sight.reason)
        elif ask.could_answer(probe) and sight.passed_at(probe, ask.gate) == sight.at:
            if not sight.is_steady:
                continue  # our line lets some looks through: that says nothing, one way or the other
            passed.add(group)
            if ask.gate > Depth.REACHED and ask.since is not None and sight.at > ask.since and is_clean(sight, ask):
                return SEES  # it got further than all of them, after they began
    clock = reasons <= {*OF_A_CLOCK, Reason.CLOCK}
    how = MessageCode.FAIL_BY_CLOCK if clock else HOW.get(ask.gate)
    why = _verdict(fails - passed, others | passed, passed, ask, coded(how) if how else "")
    return Blindness(why, Reason.CLOCK if clock else Reason.NETWORK) if why else SEES


def _verdict(fails: set[str], telling: set[str], passed: set[str], ask: Question, how: str) -> str:
    """Count the groups that fail together, all that tell, and those that passed; return why we are blind, or ``""``."""
    if any(name.startswith(CONTROL) for name in passed):
        return ""
    if ask.unresolved and len(fails) > 1 and not passed:
        return coded(MessageCode.NO_NAME_RESOLVES, names=len(fails))
    controls = sum(name.startswith(CONTROL) for name in fails)
    services, all_services = len(fails) - controls, sum(not name.startswith(CONTROL) for name in telling)
    if controls and services * 2 >= all_services:
        if how:
            return coded(MessageCode.CONTROL_TARGETS_FAIL_ALIKE, n=controls, how=how)
        return coded(MessageCode.CONTROL_TARGETS_FAIL, n=controls)
    if services >= FEWEST_SERVICES and services >= BLIND_RATIO * all_services:
        facts = {"failing": services, "services": all_services}
        alike = {"how": how} if how else {}
        return coded(MessageCode.SERVICES_FAIL_ALIKE if how else MessageCode.SERVICES_FAIL, **facts, **alike)
    return ""


@cache
def _gate(reach: Reach, gate: Depth) -> Depth:
    """Return the gate at which a probe's failure counts: its own last one, if it never gets as far as the asked."""
    return max((depth for depth in Depth if depth <= gate and passes(reach, depth)), default=Depth.NOTHING)


def began_together(probe: Probe, sight: Sight, ask: Question, now: datetime) -> bool:
    """Say whether a target's failures may have the cause of those asked about: they began at nearly the same time."""
    if sight.failing_since is None or ask.since is None:
        return True  # found to be ours before
    apart = abs(sight.failing_since - ask.since)
    return apart <= timedelta(seconds=TOGETHER_S + probe.interval_s + probe.timeout_s) and (
        not probe.control or now - sight.failing_since <= TOO_LONG
    )


def _is_cut_off(control: Sight, ask: Question, sights: Mapping[str, Sight], targets: Targets) -> bool:
    """Say whether a control target never answered although others got as far as is asked: a firewall of ours."""
    if control.good_at is not None or control.answered_at is not None:
        return False
    others = ((targets.probes.get(name), sight) for name, sight in sights.items())
    return any(
        probe is not None and ask.could_answer(probe) and sight.passed_at(probe, ask.gate) is not None
        for probe, sight in others
    )


def is_clean(sight: Sight, ask: Question) -> bool:
    """Say whether a target that passed did not fail itself meanwhile, or was good for long enough since."""
    if not sight.is_steady:
        return False
    if ask.since is None or sight.failed_at is None or sight.failed_at < ask.since:
        return True
    return sight.reason in DOUBTED or sight.at - sight.failed_at >= STEADY


Here = Iterable[tuple[str, Sight | None]]
"""What the probes of a location saw, by id."""


def answered_for(ask: Question, asker: str, here: Here, targets: Targets, now: datetime) -> datetime | None:
    """Return when something independent of a failing target passed the gate at which that fails, after it began.

    ``None`` if nothing did. Where nothing else could, there is no telling, and the beginning comes back.
    """
    since, witnesses, newest = ask.since or now, 0, None
    own = targets.group.get(asker, "")
    for name, sight in here:
        probe = targets.probes.get(name)
        if probe is None or targets.group[name] == own or not ask.could_answer(probe):
            continue
        if sight is None:  # it will be looked at; nobody waits for it who got as far as a handshake
            witnesses += ask.gate is Depth.REACHED and now - since <= timedelta(
                seconds=2 * probe.interval_s + probe.timeout_s
            )
            continue
        gone = is_another_cause(probe, sight, since) and not still_answers(sight, ask.gate)
        at = passed_by(probe, sight, ask.gate, now)
        if at is not None and at >= since and is_clean(sight, ask):
            newest = at if newest is None or at > newest else newest
        witnesses += sight.is_fresh(probe, now) and not gone
    return newest if witnesses or newest is not None else since


def is_another_cause(probe: Probe, sight: Sight, since: datetime) -> bool:
    """Say whether a target fails for a cause of its own, that began before those asked about: it is no witness then.

    Long before, or as much before as tells them apart if its failures were proven to be its own.
    """
    if sight.failing_since is None:
        return False
    apart = TOGETHER_S + probe.interval_s + probe.timeout_s
    return since - sight.failing_since > (timedelta(seconds=apart) if sight.is_own else TOO_LONG)


def still_answers(sight: Sight, gate: Depth) -> bool:
    """Say whether a target in trouble of its own gave whole answers all the same, so that it may speak of a line."""
    began, at = sight.failing_since, sight.answered_at
    return gate <= Depth.ANSWERED and began is not None and at is not None and at >= began


def passed_by(probe: Probe, sight: Sight, gate: Depth, now: datetime) -> datetime | None:
    """Return when a target last passed a gate by ``now``.

    A failure that is judged late, from quarantine or from the spool of a worker beside others, finds its witnesses
    further on than itself. Who was good all along passed at each of its ticks; of who was not, nothing is known.
    """
    at = sight.passed_at(probe, gate)
    if at is None or at <= now:
        return at
    interval = timedelta(seconds=probe.interval_s)
    tick = next_tick(probe.interval_s, slot(probe.id, probe.interval_s), now) - interval
    return tick if sight.good_since is not None and sight.good_since <= tick else None


def can_doubt(probe: Probe, catalogue: Catalogue) -> bool:
    """Say whether anything else at the probe's locations could tell its bad answers from trouble on our side."""
    targets = make_targets(catalogue)
    return any(
        targets.group[item.id] != targets.group[probe.id]
        and passes(item.reach, Depth.SERVED)
        and set(item.locations) & set(probe.locations)
        for item in targets.probes.values()
    )
