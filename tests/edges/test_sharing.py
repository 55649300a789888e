"""Sharing as a worker does it: shares, blindness, the end, and what goes with a probe from worker to worker."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from monitor import clock
from monitor.config.load import load
from monitor.core.model.observations import Result
from monitor.prober.prober import Prober
from monitor.probes.chat.budget import Ledger, joined
from monitor.probes.memory import Memories
from monitor.recorder.sharing import ProbeMemorySync, Sharing
from monitor.runtime.messages import JobReport, MemoryHandover, Remembered
from monitor.store.connection.engine import begin
from monitor.store.leases import lost

PROBES = ["p0", "p1", "p2", "p3"]


def two(engine: Engine) -> tuple[Sharing, Sharing]:
    """Return two workers of a place, each with its half."""
    one, other = (Sharing(engine, name, "berlin") for name in ("berlin-a", "berlin-b"))
    one.renew(PROBES)
    assert one.own == set(PROBES)
    settle(one, other)
    assert len(one.own) == len(other.own) == 2
    return one, other


def settle(*sharings: Sharing, blind: frozenset[Sharing] = frozenset()) -> None:
    """Let each renew and give back what it is to give up, until nothing changes."""
    for _ in range(3):
        for sharing in sharings:
            sharing.renew(PROBES, blind=sharing in blind)
            sharing.give_back(PROBES)


def test_a_blind_worker_gives_its_probes_to_one_who_sees_and_waits_before_it_takes_some_again(engine: Engine) -> None:
    one, other = two(engine)
    settle(one, other, blind=frozenset({one}))
    assert (sorted(one.own), sorted(other.own)) == ([], PROBES)
    settle(one, other)
    assert (sorted(one.own), sorted(other.own)) == ([], PROBES)
    settle(one, other, blind=frozenset({one, other}))
    assert len(one.own) == len(other.own) == 2


def test_who_takes_over_and_who_gives_back_is_told_with_the_number_of_probes(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "chatwatch.recorder")
    one, other = two(engine)
    settle(one, other)
    told = [
        (str(found["event"]), found["fields"]["worker"], found["fields"]["count"])
        for found in map(vars, caplog.records)
    ]
    assert told == [
        ("probes_taken_over", "berlin-a", 4),
        ("probes_given_back", "berlin-a", 2),
        ("probes_taken_over", "berlin-b", 2),
    ]


def test_a_worker_that_ends_hands_over_without_a_lease_running_out(engine: Engine) -> None:
    one, other = two(engine)
    one.retire()
    one.give_back(one.own)
    other.renew(PROBES)
    assert other.own == set(PROBES)
    assert other.cut_off(PROBES) == frozenset()
    one.renew(PROBES)
    assert one.own == frozenset()
    one.end()


def test_who_comes_back_after_a_kill_knows_that_its_last_looks_were_cut_off(engine: Engine) -> None:
    one, _ = two(engine)
    again = Sharing(engine, "berlin-a", "berlin")
    again.renew(PROBES)
    assert again.own == one.own
    assert again.cut_off(PROBES) == one.own
    assert again.cut_off(PROBES) == frozenset()
    with begin(engine) as connection:
        assert lost(connection, again.claim, again.own) == set()


def test_a_report_reaches_every_worker_once_wherever_it_arrives(engine: Engine) -> None:
    here, there = (ProbeMemorySync(engine, sharing) for sharing in two(engine))
    sent = JobReport("job", clock.now(), text="copied 7 files")
    here.report(sent)
    here.exchange(["job"])
    assert there.exchange(["job"]) == [sent]
    assert there.exchange(["job"]) == []
    assert there.exchange([]) == []


def test_what_a_probe_remembers_is_given_to_its_next_worker_and_to_no_former_one(engine: Engine) -> None:
    one, other = two(engine)
    old, new = ProbeMemorySync(engine, one), ProbeMemorySync(engine, other)
    name = min(one.own)
    first = Remembered(datetime.fromtimestamp(1000.5, UTC), '{"kind":"chat","memory":{"n":1}}')
    old.take({name: first})
    old.store()
    assert not old.waits
    settle(one, other, blind=frozenset({one}))
    assert new.give([name]) == [MemoryHandover(name, first, cut_off=False)]
    old.take({name: Remembered(datetime.fromtimestamp(2000.0, UTC), '{"kind":"chat","memory":{"n":2}}')})
    old.store()
    assert new.give([name]) == [MemoryHandover(name, first, cut_off=False)]


def test_two_ledgers_make_one_that_forgets_no_spending() -> None:
    now = clock.now()
    day = now.date().isoformat()
    more = {"day": day, "tokens": 900, "usd": 0.1, "asks": 9, "proven": False, "last": {}}
    newer = {"day": day, "tokens": 300, "usd": 0.5, "asks": 20, "proven": True, "last": {"short": 5.0}}
    found = Ledger.read(joined(newer, more, now), now)
    assert (found.tokens, found.usd, found.asks, found.proven) == (900, 0.5, 20, True)
    yesterday = more | {"day": (now - timedelta(days=1)).date().isoformat()}
    assert Ledger.read(joined(newer, yesterday, now), now).tokens == 300


def test_a_prober_goes_on_with_the_other_workers_ledger_and_books_a_question_that_was_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "probes.yaml"
    path.write_text("""\
services:
  - id: sim
    name: Simulated
    components: [{id: api, name: API, kind: api}]
    probes:
      - id: chat
        component: api
        kind: chat
        interval: 30s
        options: {base_url: "http://127.0.0.1:9/v1", model: m, key: "${SIM_KEY}", max_tokens: 60}
""")
    config, found = load(path, {"SIM_KEY": "sk-canary-4711"}), list[Result]()
    prober = Prober(config, found.append, Memories(tmp_path / "memory.json"))
    prober.apply(config)
    now = clock.now()
    ledger = Ledger(day=now.date().isoformat(), tokens=700, asks=9).stored()
    text = json.dumps({"kind": "chat", "memory": {"ledger": ledger, "answered": 9}})
    for cut, tokens in ((False, 700), (True, 800), (False, 800)):
        prober.carry(MemoryHandover("sim-chat", Remembered(now - timedelta(seconds=5), text), cut))
        prober.carry(MemoryHandover("gone", Remembered(now, ""), cut_off=True))
        at, told = prober.memories.news()["sim-chat"] if cut or tokens == 700 else (now.timestamp(), "")
        memory = prober.memories.of("sim-chat", "chat")
        assert (memory["ledger"]["tokens"], memory["answered"]) == (tokens, 9)
        assert at >= now.timestamp()
        assert not told or json.loads(told)["memory"] == memory
