"""Leases on probes: shared, taken over, fenced."""

from __future__ import annotations

import threading
from datetime import timedelta

from sqlalchemy import Engine

from monitor import flow
from monitor.store.leases import Claim, fair_share, release, still_owned, take_leases
from tests.edges.flowing import T0, look, publish

TTL = timedelta(seconds=30)
PROBES = [f"p{i}" for i in range(20)]


def names(engine: Engine, owner: str, seconds: float, most: int | None = None) -> set[str]:
    held = take_leases(engine, owner, "local", PROBES, T0 + timedelta(seconds=seconds), TTL, most=most)
    return {lease.probe for lease in held}


def test_one_worker_alone_takes_everything_and_keeps_it(engine: Engine) -> None:
    first = take_leases(engine, "a", "local", PROBES, T0, TTL)
    again = take_leases(engine, "a", "local", PROBES, T0 + timedelta(seconds=10), TTL)
    assert [lease.probe for lease in first] == sorted(PROBES)
    assert [(lease.probe, lease.epoch) for lease in first] == [(lease.probe, lease.epoch) for lease in again]
    assert names(engine, "b", 11) == set()


def test_locations_do_not_share(engine: Engine) -> None:
    assert len(take_leases(engine, "a", "local", PROBES, T0, TTL)) == 20
    assert len(take_leases(engine, "b", "tokyo", PROBES, T0, TTL)) == 20


def test_two_workers_settle_on_their_shares(engine: Engine) -> None:
    assert len(names(engine, "a", 0)) == 20
    assert fair_share(engine, "b", "local", len(PROBES), T0) == 10
    assert names(engine, "b", 1, 10) == set()
    assert fair_share(engine, "a", "local", len(PROBES), T0) == 10
    release(engine, "a", "local", PROBES[10:])
    a, b = names(engine, "a", 2, 10), names(engine, "b", 2, 10)
    assert len(a) == len(b) == 10
    assert a | b == set(PROBES)
    assert fair_share(engine, "b", "local", len(PROBES), T0 + TTL + timedelta(seconds=3)) == 20


def test_what_ran_out_is_left_alone_by_who_was_away_itself(engine: Engine) -> None:
    """After an outage of the database nobody could renew: the owners come first, with what they have spooled."""
    names(engine, "a", 0)
    late = T0 + timedelta(minutes=5)
    assert take_leases(engine, "b", "local", PROBES, late, TTL, seize=False) == ()
    assert len(names(engine, "a", 301)) == 20


def test_results_of_a_lost_lease_are_refused_and_those_of_one_that_only_ran_out_are_not(engine: Engine) -> None:
    publish(engine)
    wanted = ["ds-api", "oa-api"]
    old = Claim("a", "local", {x.probe: x.epoch for x in take_leases(engine, "a", "local", wanted, T0, TTL)})
    looks = [look("ds-api", T0), look("oa-api", T0)]
    assert flow.record(engine, looks, T0, claim=old).stored == 2
    later = T0 + timedelta(minutes=10)
    assert flow.record(engine, [look("ds-api", later)], later, claim=old).stored == 1
    new = Claim("b", "local", {x.probe: x.epoch for x in take_leases(engine, "b", "local", wanted, later, TTL)})
    after = later + timedelta(minutes=1)
    done = flow.record(engine, [look("ds-api", after)], after, claim=old)
    assert (done.stored, done.fenced) == (0, 1)
    assert flow.record(engine, [look("ds-api", after)], after, claim=new).stored == 1
    assert flow.record(engine, [look("ds-hid", after)], after, claim=new).fenced == 1


def test_a_dead_workers_probes_are_taken_over_and_it_is_fenced_when_it_wakes(engine: Engine) -> None:
    old = {lease.probe: lease.epoch for lease in take_leases(engine, "a", "local", PROBES, T0, TTL)}
    assert still_owned(engine, "a", "local", old, T0 + timedelta(seconds=29)) == set(PROBES)
    assert names(engine, "b", 29) == set()
    assert still_owned(engine, "a", "local", old, T0 + timedelta(seconds=31)) == frozenset()
    assert names(engine, "b", 31) == set(PROBES)
    woken = T0 + timedelta(seconds=32)
    assert still_owned(engine, "a", "local", old, woken) == frozenset()
    assert names(engine, "a", 33) == set()


def test_a_worker_that_stops_gives_back_at_once(engine: Engine) -> None:
    names(engine, "a", 0)
    release(engine, "a", "local")
    assert names(engine, "b", 1) == set(PROBES)


def test_no_probe_is_ever_held_twice_while_workers_race(engine: Engine) -> None:
    held: list[tuple[float, str, set[str]]] = []
    lock = threading.Lock()

    def work(owner: str) -> None:
        for step in range(15):
            mine = names(engine, owner, step / 10, 7)
            with lock:
                held.append((step, owner, mine))

    threads = [threading.Thread(target=work, args=(owner,)) for owner in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = {owner: names(engine, owner, 2, 7) for owner in "abc"}
    everything = [name for some in last.values() for name in some]
    assert len(everything) == len(set(everything)) == 20
    owners: dict[str, set[str]] = {}
    for _, owner, mine in held:
        for name in mine:
            owners.setdefault(name, set()).add(owner)
    assert all(len(found) == 1 for found in owners.values())
