"""The outbox as a model: senders that die anywhere, receivers that refuse, alerts that come and go at random.

Every message under one key is the same message to the same channel; what was begun to be told is told to the end; and
of one alert a channel hears in order.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from monitor import flow
from monitor.core import commands as c
from monitor.core.catalogue import Route
from monitor.core.model.alerting import AlertState, Sending, Severity
from monitor.core.model.reasons import Reason
from monitor.flow.notices import LEASE, LeasedNotice
from monitor.store import reads
from monitor.store.connection.engine import open_engine
from monitor.store.upgrade import migrate
from tests.edges.flowing import MINUTE, T0, look, publish, with_policy

ROUTES = (
    Route("oncall", ("pager", "mail")),
    Route("all", ("pager", "log"), severities=tuple(Severity)),
    Route("boss", ("mail",), escalate_after_s=180.0),
)

WAITING = (Sending.DUE, Sending.RETRYING, Sending.HELD)


class Message(NamedTuple):
    """What a receiver got."""

    key: str
    channel: str
    alert: str
    route: str
    why: str
    state: AlertState


def message(notice: LeasedNotice) -> Message:
    alert = notice.alert
    return Message(notice.key, notice.channel, alert.id, notice.route, notice.why.value, alert.state)


class Outbox(RuleBasedStateMachine):
    """A service that fails and recovers, and a sender over one outbox."""

    def __init__(self) -> None:
        super().__init__()
        self.home = tempfile.TemporaryDirectory()
        self.engine = open_engine(f"sqlite:///{self.home.name}/test.db")
        migrate(self.engine)
        catalogue = with_policy(recovery_window_s=30, reopen_window_s=30, repeat_page_s=120)
        publish(self.engine, replace(catalogue, routes=ROUTES))
        self.now = T0
        self.arrived: list[Message] = []
        self.held: list[LeasedNotice] = []
        self.keys: dict[int, str] = {}
        self.looks("ds-api", bad=True, minutes=1)

    def teardown(self) -> None:
        self.drain()
        self.engine.dispose()
        self.home.cleanup()

    @rule(probe=st.sampled_from(["ds-api", "oa-api"]), bad=st.booleans(), minutes=st.integers(1, 4))
    def looks(self, probe: str, bad: bool, minutes: int) -> None:
        """Look for some minutes."""
        for _ in range(minutes):
            self.now += MINUTE
            seen = [look(probe, self.now, Reason.CONTENT if bad else Reason.OK, attempt) for attempt in (1, 2, 3)]
            flow.record(self.engine, seen, self.now + timedelta(seconds=4))
            flow.sweep(self.engine, self.now + timedelta(seconds=5))

    @rule()
    def acknowledged(self) -> None:
        """Somebody takes everything."""
        for view in reads.alerts(self.engine, open_only=True):
            flow.command(self.engine, c.AcknowledgeAlert(view.alert.id), "alice", self.now)

    @rule(limit=st.integers(1, 4))
    def leased(self, limit: int) -> None:
        """A sender takes some; they may never be settled."""
        self.held += self.taken("w/1", limit)

    @rule(arrives=st.booleans(), settled=st.sampled_from([Sending.SENT, Sending.RETRYING, Sending.RETRYING, None]))
    def tried(self, arrives: bool, settled: Sending | None) -> None:
        """One is sent, or not, and that is written down, or the sender dies first."""
        self.held = self.held or list(self.taken("w/1", 1))
        if not self.held:
            return
        notice = self.held.pop(0)
        if arrives or settled is Sending.SENT:
            self.arrived.append(message(notice))
        if settled is not None:
            flow.settle_notice(self.engine, notice.id, settled, self.at, owner="w/1", retry_at=self.at)

    @rule()
    def restarted(self) -> None:
        """The worker comes back and takes back what its dead sender held."""
        self.held.clear()
        flow.take_back_notices(self.engine, "w", self.at)

    @rule()
    def forgotten(self) -> None:
        """The sender is gone for good; its leases run out."""
        self.held.clear()
        self.now += LEASE + timedelta(seconds=1)

    @property
    def at(self) -> datetime:
        return self.now + timedelta(seconds=10)

    @invariant()
    def one_key_is_one_message(self) -> None:
        """A repeat is the same message: a receiver that drops what it knows loses nothing."""
        told: dict[str, Message] = {}
        for item in self.arrived:
            assert told.setdefault(item.key, item) == item

    @invariant()
    def one_message_has_one_key(self) -> None:
        """Two things that were decided apart never share a key on any channel."""
        channels = defaultdict(set)
        for item in self.arrived:
            channels[item.key].add((item.channel, item.alert, item.route))
        assert all(len(found) == 1 for found in channels.values())

    @invariant()
    def nothing_is_told_after_the_end(self) -> None:
        """Of one alert a channel hears first things first, repeats of what it heard already left aside."""
        known: set[str] = set()
        over: set[tuple[str, str, str]] = set()
        for item in self.arrived:
            if item.key in known:
                continue
            known.add(item.key)
            line = (item.alert, item.channel, item.route)
            assert line not in over, item
            if item.state is AlertState.RESOLVED:
                over.add(line)

    def taken(self, owner: str, limit: int) -> tuple[LeasedNotice, ...]:
        """Lease; whoever tries a delivery, and however often, it has one key."""
        found = flow.lease_notices(self.engine, owner, self.at, limit)
        for notice in found:
            assert self.keys.setdefault(notice.id, notice.key) == notice.key
        return found

    def drain(self) -> None:
        """Let everything get well and everything due be sent: then every begin has its end."""
        for probe in ("ds-api", "oa-api"):
            self.looks(probe, bad=False, minutes=4)
        self.forgotten()
        for _ in range(200):
            batch = self.taken("w/2", 10)
            if not batch:
                break
            for notice in batch:
                self.arrived.append(message(notice))
                assert flow.settle_notice(self.engine, notice.id, Sending.SENT, self.at, owner="w/2")
        self.one_key_is_one_message()
        self.nothing_is_told_after_the_end()
        assert not any(count for state, count in flow.outbox_counts(self.engine).items() if state in WAITING)
        begun = {(item.alert, item.route, item.channel) for item in self.arrived}
        ended = {(i.alert, i.route, i.channel) for i in self.arrived if i.state is AlertState.RESOLVED}
        resolved = {v.alert.id for v in reads.alerts(self.engine) if v.alert.state is AlertState.RESOLVED}
        assert {line for line in begun if line[0] in resolved} == {line for line in ended if line[0] in resolved}


TestOutbox = Outbox.TestCase
TestOutbox.settings = settings(
    max_examples=12, stateful_step_count=20, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate)
)
