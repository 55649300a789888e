"""Leases on probes: shared, taken over, fenced."""

from __future__ import annotations

import threading
from datetime import timedelta

from sqlalchemy import Engine

from monitor import flow
from monitor.store.connection.engine import begin
from monitor.store.leases import Claim, Held, lost, release, take_leases
from monitor.store.probe_memory import (
    StoredMemory,
    StoredReport,
    load_memories,
    load_reports,
    save_memories,
    save_reports,
)
from tests.edges.flowing import T0, look, publish

TTL = timedelta(seconds=30)
PROBES = [f"p{i}" for i in range(20)]


def take(engine: Engine, owner: str, seconds: float, **options: bool | int | None) -> Held:
    return take_leases(engine, owner, "local", PROBES, T0 + timedelta(seconds=seconds), TTL, **options)  # type: ignore[arg-type]  # passed on as they are


def names(engine: Engine, owner: str, seconds: float, most: int | None = None) -> set[str]:
    return set(take(engine, owner, seconds, most=most).epochs)


def taken_over(engine: Engine, claim: Claim) -> set[str]:
    with begin(engine) as connection:
        return lost(connection, claim, claim.epochs)


def test_one_worker_alone_takes_everything_and_keeps_it(engine: Engine) -> None:
    first = take(engine, "a", 0)
    again = take(engine, "a", 10)
    assert first.epochs.keys() == first.handed == set(PROBES)
    assert (again.epochs, again.most, again.handed) == (first.epochs, 20, frozenset())
    assert names(engine, "b", 11) == set()


def test_locations_do_not_share(engine: Engine) -> None:
    assert len(take_leases(engine, "a", "local", PROBES, T0, TTL).epochs) == 20
    assert len(take_leases(engine, "b", "tokyo", PROBES, T0, TTL).epochs) == 20


def test_two_workers_settle_on_their_shares(engine: Engine) -> None:
    assert len(names(engine, "a", 0)) == 20
    assert take(engine, "b", 1) == Held({}, 10, frozenset())
    assert take(engine, "a", 1).most == 10
    release(engine, "a", "local", PROBES[10:])
    a, b = names(engine, "a", 2), take(engine, "b", 2)
    assert len(a) == len(b.epochs) == 10
    assert b.handed == b.epochs.keys()
    assert a | b.epochs.keys() == set(PROBES)
    alone = take(engine, "b", 33)
    assert (alone.most, alone.handed) == (20, frozenset())
    assert alone.epochs.keys() == set(PROBES)


def test_what_ran_out_is_left_alone_by_who_was_away_itself(engine: Engine) -> None:
    """After an outage of the database nobody could renew: the owners come first, with what they have spooled."""
    names(engine, "a", 0)
    assert take(engine, "b", 300, seize=False).epochs == {}
    assert len(names(engine, "a", 301)) == 20


def test_a_worker_that_gives_has_nothing_while_another_would_take_it_and_everything_while_nobody_would(
    engine: Engine,
) -> None:
    names(engine, "a", 0)
    names(engine, "b", 0)
    assert take(engine, "a", 1, gives=True).most == 0
    assert take(engine, "b", 1).most == 20
    release(engine, "a", "local", PROBES)
    assert names(engine, "b", 2) == set(PROBES)
    assert take(engine, "b", 3, gives=True).most == take(engine, "a", 3, gives=True).most == 10
    assert take(engine, "a", 4).most == 20


def test_who_ends_is_out_of_the_count_as_soon_as_it_gives_back_its_first_probe(engine: Engine) -> None:
    names(engine, "a", 0)
    names(engine, "b", 0)
    release(engine, "a", "local", PROBES[:3], gives=True)
    assert take(engine, "b", 1).most == 20
    assert names(engine, "b", 1) == set(PROBES[:3])
    assert names(engine, "a", 1, 0) == set(PROBES[3:])


def test_what_a_probe_remembers_goes_to_its_next_owner_and_no_former_one_can_change_it(engine: Engine) -> None:
    old = Claim("a", "local", take(engine, "a", 0).epochs)
    save_memories(engine, old, {"p1": StoredMemory(T0, "one"), "p2": StoredMemory(T0, "two")})
    save_memories(engine, old, {"p1": StoredMemory(T0 - TTL, "three")})
    assert load_memories(engine, "local", PROBES) == {
        "p1": StoredMemory(T0 - TTL, "three"),
        "p2": StoredMemory(T0, "two"),
    }
    assert load_memories(engine, "tokyo", PROBES) == {}
    names(engine, "b", 40)
    save_memories(engine, old, {"p1": StoredMemory(T0, "four"), "p9": StoredMemory(T0, "five")})
    assert load_memories(engine, "local", ["p1", "p9"]) == {"p1": StoredMemory(T0 - TTL, "three")}


def test_the_newest_report_of_a_job_counts_whoever_received_it(engine: Engine) -> None:
    new, old, ahead = (StoredReport(T0 + timedelta(seconds=s), s > 0, f"at {s}") for s in (0, -5, 7200))
    save_reports(engine, {"job": new}, T0)
    save_reports(engine, {"job": old}, T0)
    assert load_reports(engine, ["job", "other"]) == {"job": new}
    save_reports(engine, {"job": ahead}, T0)
    save_reports(engine, {"job": new}, T0)
    assert load_reports(engine, ["job"]) == {"job": new}


def test_results_of_a_lost_lease_are_refused_and_those_of_one_that_only_ran_out_are_not(engine: Engine) -> None:
    publish(engine)
    wanted = ["ds-api", "oa-api"]
    old = Claim("a", "local", take_leases(engine, "a", "local", wanted, T0, TTL).epochs)
    looks = [look("ds-api", T0), look("oa-api", T0)]
    assert flow.record(engine, looks, T0, claim=old).stored == 2
    later = T0 + timedelta(minutes=10)
    assert flow.record(engine, [look("ds-api", later)], later, claim=old).stored == 1
    new = Claim("b", "local", take_leases(engine, "b", "local", wanted, later, TTL).epochs)
    after = later + timedelta(minutes=1)
    done = flow.record(engine, [look("ds-api", after)], after, claim=old)
    assert (done.stored, done.fenced) == (0, 1)
    assert flow.record(engine, [look("ds-api", after)], after, claim=new).stored == 1
    assert flow.record(engine, [look("ds-hid", after)], after, claim=new).fenced == 1


def test_a_dead_workers_probes_are_taken_over_and_it_is_fenced_when_it_wakes(engine: Engine) -> None:
    old = Claim("a", "local", take(engine, "a", 0).epochs)
    assert names(engine, "b", 29) == set()
    assert taken_over(engine, old) == set()
    assert names(engine, "b", 31) == set(PROBES)
    assert taken_over(engine, old) == set(PROBES)
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
