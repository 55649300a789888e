"""Rounds of kills and what must hold after each; the suite plays a few, ``python -m tests.bench kills`` hundreds."""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine, func, inspect, select

from monitor import clock, flow
from monitor.core.model.alerting import Sending, Why
from monitor.core.schedule import micros as us
from monitor.flow.notices import LEASE
from monitor.store import schema
from monitor.store.backup import backup
from monitor.store.connection.engine import open_engine, reading
from monitor.store.transaction.alerts import ALERT, OUTBOX
from monitor.store.upgrade import migrate
from tests.edges import after_kills, flowing, recorder_to_kill, sender_to_kill
from tests.edges.flowing import MINUTE
from tests.edges.killing import COPYING, MIGRATING, PUTTING_BACK, SPOOLING, Ended, Point, run
from tests.edges.receiver import Arrival, Received


@dataclass
class Recording:
    """A database and a spool under kills; ``minute`` is the next one to be taken."""

    url: str
    home: Path
    minute: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    """Point → kills there."""
    engine: Engine = field(init=False)

    def __post_init__(self) -> None:
        self.engine = open_engine(self.url)
        migrate(self.engine)
        flowing.publish(self.engine)

    @property
    def spool(self) -> Path:
        return self.home / "spool"

    def close(self) -> None:
        self.engine.dispose()

    def round(
        self, name: str, point: Point | None, times: int = 1, *, many: int = 8, after_s: float | None = None
    ) -> Ended:
        """Let a recorder work until it is killed, then check everything."""
        # Some begin before the database is open, so that results go through the spool.
        closed = 3 if point in SPOOLING.values() else 1 + self.minute % 2
        arguments = (self.url, self.spool, self.minute, many, closed)
        ended = run(recorder_to_kill.record, *arguments, point=point, times=times, after_s=after_s)
        self.minute = max(ended.said, default=self.minute - 1) + 1
        self.kills[name] += ended.killed
        if self.minute:
            after_kills.check(self.engine, self.minute - 1, self.spool)
        return ended

    def finish(self) -> None:
        """Let a recorder end well and compare with the undisturbed story."""
        ended = run(recorder_to_kill.record, self.url, self.spool, self.minute, 4, 1)
        assert not ended.killed
        self.minute = ended.said[-1] + 1
        after_kills.check(self.engine, self.minute - 1, self.spool)
        with tempfile.TemporaryDirectory() as home:
            other = open_engine(f"sqlite:///{Path(home) / 'undisturbed.db'}")
            migrate(other)
            after_kills.undisturbed(other, self.minute)
            after_kills.same(self.engine, other, self.minute)
            other.dispose()


@dataclass
class Delivering:
    """A database whose notices go to a receiver, under kills."""

    url: str
    received: Received
    minute: int = 0
    calm: int = 1_000_000
    """The minute from which on nothing fails any more."""
    start: datetime = field(default_factory=lambda: clock.now() - timedelta(hours=23))
    kills: Counter[str] = field(default_factory=Counter)
    engine: Engine = field(init=False)

    def __post_init__(self) -> None:
        self.engine = open_engine(self.url)
        migrate(self.engine)
        flow.publish_catalogue(self.engine, sender_to_kill.CATALOGUE, self.start)

    def close(self) -> None:
        self.engine.dispose()

    def round(
        self, name: str, point: Point | None, times: int = 1, *, many: int = 4, after_s: float | None = None
    ) -> Ended:
        """Let a sender work until it is killed."""
        minutes = range(self.minute, self.minute + many)
        arguments = (self.url, self.received.url, self.start, minutes, self.calm)
        ended = run(sender_to_kill.send, *arguments, point=point, times=times, after_s=after_s)
        self.minute = max(ended.said, default=self.minute - 1) + 1
        self.kills[name] += ended.killed
        with reading(self.engine) as connection:
            until = connection.scalars(select(OUTBOX.c.leased_until_us).where(OUTBOX.c.owner != "")).all()
            assert all(at is not None and at <= us(clock.now() + LEASE) for at in until)
        return ended

    def finish(self) -> str:
        """Deliver the rest to a receiver that is well, check all of it, and say what came."""
        self.calm = self.minute + 1  # the minute that is next may be recorded already
        self.round("", None, many=8)
        self.received.moody = False
        rest = (self.url, self.received.url, self.start, range(0), self.calm)
        assert not run(sender_to_kill.send, *rest).killed
        told = self._check()
        self._compare()
        return told

    def _check(self) -> str:
        by_key: dict[str, list[Arrival]] = defaultdict(list)
        for arrival in self.received.arrivals:
            by_key[arrival.key].append(arrival)
        with reading(self.engine) as connection:
            rows = connection.execute(select(OUTBOX).order_by(OUTBOX.c.id)).all()
            resolved = set(connection.scalars(select(ALERT.c.id).where(ALERT.c.state == "resolved")))
        assert {row.sending for row in rows} == {Sending.SENT.value}
        assert all(row.owner == "" and row.leased_until_us is None for row in rows)
        assert set(by_key) == {row.key for row in rows}, "a key that the outbox does not know, or one that never came"
        before: dict[str, int] = {}
        whys: dict[str, list[str]] = defaultdict(list)
        for row in rows:
            came = by_key[row.key]
            taken = [arrival.taken for arrival in came if arrival.taken is not None]
            assert taken, f"settled as sent, but the receiver never took it: {row.why}"
            assert {(arrival.alert, arrival.type) for arrival in came} == {(row.alert, came[0].type)}
            assert came[0].type == ("alert.resolved" if row.why == Why.RESOLVED else "alert.firing")
            assert min(arrival.came for arrival in came) > before.get(row.alert, 0), "overtook what came before it"
            before[row.alert] = min(taken)
            whys[row.alert].append(row.why)
        assert set(whys) == resolved, f"told of {set(whys) - resolved} in vain, never of {resolved - set(whys)}"
        assert all(told[-1] == Why.RESOLVED and told.count(Why.RESOLVED) == 1 for told in whys.values())
        again = sum(len(came) - 1 for came in by_key.values())
        return f"{len(rows)} notices of {len(whys)} alerts, each delivered; {again} repeated, under the same key"

    def _compare(self) -> None:
        """The alerts are those of the same story told to nobody."""
        with tempfile.TemporaryDirectory() as home:
            other = open_engine(f"sqlite:///{Path(home) / 'undisturbed.db'}")
            migrate(other)
            flow.publish_catalogue(other, sender_to_kill.CATALOGUE, self.start)
            for minute in range(self.minute):
                at = self.start + minute * MINUTE
                flow.record(other, sender_to_kill.story(minute, self.start, self.calm), at + timedelta(seconds=2))
                flow.sweep(other, at + timedelta(seconds=30))
            ours, theirs = alerts(self.engine), alerts(other)
            assert ours == theirs, f"{ours - theirs} instead of {theirs - ours}"
            other.dispose()


def alerts(engine: Engine) -> set[tuple[str, str, int, int]]:
    with reading(engine) as connection:
        columns = (ALERT.c.key, ALERT.c.rule, ALERT.c.fired_us, ALERT.c.resolved_us)
        return {tuple(row) for row in connection.execute(select(*columns))}


def died(name: str, ended: Ended) -> int:
    """Count a kill; raises when the child never came to its point."""
    assert ended.killed, f"never came to: {name}"
    return 1


def migrations(fresh: Callable[[], str], rounds: int) -> tuple[int, str]:
    """Kill a migration at every point of it; what is left is one schema or the other, and the next try ends well."""
    kills = 0
    for name in [name for name in MIGRATING for _ in range(rounds)]:
        url = fresh()
        times = 2 if "commit" in name else 1  # the first look at the version is a transaction, too
        kills += died(name, run(recorder_to_kill.move_schema, url, point=MIGRATING[name], times=times))
        engine = open_engine(url)
        with reading(engine) as connection:
            tables = set(inspect(connection).get_table_names()) - {"alembic_version"}
            whole = "committed" in name
            assert bool(tables) is whole, f"{name}: half a schema"
        assert not run(recorder_to_kill.move_schema, url).killed
        schema.check_schema(engine)
        flowing.publish(engine)
        assert flow.record(engine, recorder_to_kill.story(0), recorder_to_kill.taken_at(0)).stored == 3
        engine.dispose()
    return kills, "each time the old schema or the new one, and the next start ends well"


def copies(fresh: Callable[[], str], home: Path, rounds: int) -> tuple[int, str]:
    """Kill backups and restores; a name never holds half a copy, and the database's own name is never empty."""
    url, kills = fresh(), 0
    engine = open_engine(url)
    migrate(engine)
    flowing.publish(engine)
    flow.record(engine, recorder_to_kill.story(0), recorder_to_kill.taken_at(0))
    source = home / "whole.copy"
    backup(engine, source)
    for number, name in enumerate([name for name in COPYING for _ in range(rounds)]):
        target = home / f"{number}.copy"
        kills += died(name, run(recorder_to_kill.copy, url, target, point=COPYING[name]))
        if not target.exists():
            assert not run(recorder_to_kill.copy, url, target).killed
        assert target.stat().st_size >= source.stat().st_size // 2
        assert list(home.glob("*.partial")) == []
        if url.startswith("sqlite") and number % len(COPYING) == 0:
            kills += _restores(target, home / f"put-back-{number}.db")
    engine.dispose()
    return kills, "no half copy under its name, no database lost"


def _restores(source: Path, target: Path) -> int:
    """Put a copy over a database that holds other results; at every kill one of the two stands there, whole."""
    url, kills = f"sqlite:///{target}", 0
    for name, point in PUTTING_BACK.items():
        for old in target.parent.glob(target.name + "*"):
            old.unlink()
        engine = open_engine(url)
        migrate(engine)
        flowing.publish(engine)
        for minute in range(2):
            flow.record(engine, recorder_to_kill.story(minute), recorder_to_kill.taken_at(minute))
        engine.dispose()
        kills += died(name, run(recorder_to_kill.put_back, source, url, point=point))
        assert looks_in(target) in (3, 6), f"{name}: neither the old database nor the new one"
        assert not run(recorder_to_kill.put_back, source, url).killed
        assert looks_in(target) == 3
        kept = [looks_in(path) for path in target.parent.glob(f"{target.name}.before-restore*")]
        assert 6 in kept, f"{name}: the database of before is gone"
    return kills


def looks_in(path: Path) -> int:
    """Return how many results an SQLite file holds; it must be there and sound."""
    assert path.exists(), "no database under its own name"
    engine = open_engine(f"sqlite:///{path}", read_only=True)
    with reading(engine) as connection:
        after_kills.sound(connection)
        found = connection.scalar(select(func.count()).select_from(after_kills.RESULT))
    engine.dispose()
    return found or 0
