"""Hundreds of components fail together: bounded notices, nothing lost, and every decision has its reason."""

from collections import Counter
from datetime import timedelta

from sqlalchemy import Engine, select

from monitor import flow
from monitor.core import commands
from monitor.core.alerts.grouping import DIGEST, GROUP_AFTER
from monitor.core.catalogue import Catalogue, Component, Probe, Route, Service
from monitor.core.model.alerting import AlertState, Sending, Severity, Why
from monitor.core.model.incident_events import EventKind, Related
from monitor.core.model.observations import Result
from monitor.core.model.reasons import Reason
from monitor.core.replay import Judge
from monitor.flow.notices import LeasedNotice
from monitor.store import reads
from monitor.store.connection.engine import reading
from monitor.store.transaction.alerts import DECISION
from tests.edges.flowing import MINUTE, POLICY, T0, look, publish

SERVICES, PARTS = 60, 5
COMPONENTS = SERVICES * PARTS
NAMES = [f"s{service:02}/c{part}" for service in range(SERVICES) for part in range(PARTS)]
STORM = Catalogue(
    tuple(Service(f"s{number:02}", f"Service {number}", public=number != 3) for number in range(SERVICES)),
    tuple(Component(name, name[:3], name) for name in NAMES),
    tuple(
        Probe(name.replace("/", "-"), name, "http", 60, 10.0, policy=POLICY, target=f"{name[:3]}.host.example")
        for name in NAMES
    ),
    (Route("oncall", ("pager",)),),
    "storm",
)
"""All stand at one host, which is a cause that they share: else they would be taken for a fault of our own side."""


def looks(minute: int, names: list[str], reason: Reason) -> list[Result]:
    """Return the looks of a minute, each probe at its place in it, with early looks where they failed."""
    found = []
    for name in names:
        at = T0 + minute * MINUTE + timedelta(milliseconds=200 * NAMES.index(name))
        probe = name.replace("/", "-")
        found.append(look(probe, at, reason))
        if reason is not Reason.OK:
            found += [look(probe, at, reason, attempt) for attempt in (2, 3)]
    return found


class World:
    """The recorder, the rules in memory and the person on call, at the same pace."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.judge = engine, Judge(STORM, latencies=None)
        publish(engine, STORM)
        self.notices: list[LeasedNotice] = []
        self.swept = T0

    def play(self, minute: int, names: list[str], reason: Reason = Reason.OK, batches: int = 1) -> None:
        results = looks(minute, names, reason)
        for number in range(batches):
            start = T0 + minute * MINUTE + number * MINUTE / batches
            end = start + MINUTE / batches
            some = [r for r in results if start <= r.run.tick < end]
            self.swept = end + timedelta(seconds=3)
            flow.record(self.engine, some, self.swept)
            self.judge.record(some)
            flow.sweep(self.engine, self.swept)
            self.judge.sweep(self.swept)
            self.deliver()

    def deliver(self) -> None:
        while leased := flow.lease_notices(self.engine, "w", self.swept, 100):
            self.notices += leased
            for notice in leased:
                assert flow.settle_notice(self.engine, notice.id, Sending.SENT, self.swept, owner="w")

    def whys(self) -> Counter[tuple[str, str]]:
        return Counter((notice.alert.rule, notice.why.value) for notice in self.notices)


def test_three_hundred_components_fail_together_and_come_back(engine: Engine) -> None:
    world = World(engine)
    world.play(0, NAMES)
    world.play(1, NAMES, Reason.SERVER_ERROR, 2)
    told = world.whys()
    assert told["component_down", "first"] == GROUP_AFTER
    assert told[DIGEST, "first"] == 1
    assert len(world.notices) <= GROUP_AFTER + 1 + 9  # a digest is told again only at twice its size
    digest = [notice.alert for notice in world.notices if notice.alert.rule == DIGEST][-1]
    assert digest.summary["count"] >= COMPONENTS / 2
    assert (len(digest.summary["names"]), digest.severity) == (10, Severity.PAGE)
    views = [view for view in reads.alerts(engine, open_only=True, limit=1000) if view.alert.rule == "component_down"]
    assert len(views) == COMPONENTS  # every alert is there …
    reasons = Counter(view.decisions[-1].why for view in views)
    assert reasons == {
        Why.FIRST: GROUP_AFTER,
        Why.GROUPED: COMPONENTS - GROUP_AFTER,
    }  # … with the reason of its silence
    world.play(3, NAMES, Reason.SERVER_ERROR)
    began_together(engine)
    came_back(world)


def began_together(engine: Engine) -> None:
    """The timelines say that it began together; the public does not read of a service that is not public."""
    inside = reads.incidents(engine, public=False, limit=100)
    assert len(inside) == SERVICES
    for incident in inside:
        (event,) = [event for event in incident.events if event.kind is EventKind.RELATED]
        assert isinstance(event.what, Related)
        assert event.what.count == SERVICES - 1
    public = reads.incidents(engine, public=True, limit=100)
    assert len(public) == SERVICES - 1
    named = {name for item in public for e in item.events if isinstance(e.what, Related) for name in e.what.names}
    assert len(named) > 20
    assert "Service 3" not in named
    assert "s03" not in str([e.what for item in public for e in item.events if e.kind is EventKind.RELATED])


def came_back(world: World) -> None:
    """A resolve reaches whoever got the trigger, after it; the digest ends with the last of its alerts."""
    before = len(world.notices)
    for minute in range(4, 11):
        world.play(minute, NAMES)
    ends = world.notices[before:]
    assert all(notice.why is Why.RESOLVED for notice in ends if notice.alert.state is AlertState.RESOLVED)
    assert Counter(n.alert.rule for n in ends if n.why is Why.RESOLVED) == {"component_down": GROUP_AFTER, DIGEST: 1}
    assert [view for view in reads.alerts(world.engine, open_only=True) if view.alert.service] == []
    order = [(notice.alert.id, notice.alert.state is AlertState.RESOLVED) for notice in world.notices]
    for alert, _ in order:
        mine = [over for name, over in order if name == alert]
        assert mine == sorted(mine)
    with reading(world.engine) as connection:
        stored = Counter(connection.scalars(select(DECISION.c.why)))
    assert stored == Counter(decision.why.value for decision in world.judge.decisions)  # live equals replay


def test_whoever_takes_the_digest_takes_what_it_stands_for(sqlite_engine: Engine) -> None:
    world = World(sqlite_engine)
    some = NAMES[:20]
    world.play(0, some)
    world.play(1, some, Reason.SERVER_ERROR, 2)
    (digest,) = [v.alert for v in reads.alerts(sqlite_engine, open_only=True) if v.alert.rule == DIGEST]
    flow.command(sqlite_engine, commands.AcknowledgeAlert(digest.id), "alice", T0 + 3 * MINUTE)
    states = Counter(view.alert.state for view in reads.alerts(sqlite_engine, open_only=True) if view.alert.service)
    assert states == {AlertState.FIRING: GROUP_AFTER, AlertState.ACKNOWLEDGED: 20 - GROUP_AFTER}


def test_five_failures_are_still_told_one_by_one(sqlite_engine: Engine) -> None:
    world = World(sqlite_engine)
    some = NAMES[:25:5]
    world.play(0, some)
    world.play(1, some, Reason.SERVER_ERROR)
    assert world.whys() == {("component_down", "first"): 5}
