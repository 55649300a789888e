"""Guessing passwords is slowed down for who guesses, and for nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from dashboard.console import act, brake
from dashboard.console.brake import Brake
from monitor import clock
from monitor.flow import accounts
from monitor.runtime.visitors import source_of
from monitor.store import reads
from monitor.store.connection.engine import open_engine
from monitor.store.upgrade import migrate

NAME, PASSWORD = "alice", "correct horse battery"
HERE, THERE = "203.0.113.5", "198.51.100.7"


@pytest.fixture
def console(tmp_path: Path) -> Iterator[act.Console]:
    url = f"sqlite:///{tmp_path / 'console.db'}"
    engine = open_engine(url)
    migrate(engine)
    for name in (NAME, "bob"):
        accounts.set_password(engine, name, PASSWORD, clock.now())
    engine.dispose()
    opened = act.Console(url)
    yield opened
    opened.engine.dispose()


def guess(console: act.Console, name: str, source: str, times: int) -> float:
    """Try wrong passwords; returns how long the guesser waits after the last."""
    waits = [console.sign_in(name, "wrong password", clock.now(), source)[1] for _ in range(times)]
    return waits[-1]


def test_whoever_guesses_waits_even_with_the_right_password(console: act.Console) -> None:
    assert guess(console, NAME, THERE, brake.PAIR_TRIES - 1) == 0
    assert guess(console, NAME, THERE, 1) > 0
    assert console.sign_in(NAME, PASSWORD, clock.now(), THERE)[0] == ""


def test_a_strangers_guesses_do_not_hold_up_the_person_on_call(console: act.Console) -> None:
    for number in range(12):
        guess(console, NAME, f"198.51.100.{number}", brake.PAIR_TRIES)
    assert console.sign_in(NAME, PASSWORD, clock.now(), HERE)[0]


def test_guesses_for_one_name_do_not_hold_up_another_of_the_same_address(console: act.Console) -> None:
    guess(console, NAME, HERE, brake.PAIR_TRIES)
    assert console.sign_in("bob", PASSWORD, clock.now(), HERE)[0]


def test_whoever_tries_many_names_waits_with_all_of_them_but_those_that_were_right_there(console: act.Console) -> None:
    assert console.sign_in("bob", PASSWORD, clock.now(), THERE)[0]
    for number in range(brake.SOURCE_TRIES):
        guess(console, f"user{number}", THERE, 1)
    assert guess(console, "another", THERE, 1) > brake.PAIR_S
    assert console.sign_in(NAME, PASSWORD, clock.now(), THERE)[0] == ""
    assert console.sign_in("bob", PASSWORD, clock.now(), THERE)[0], "a colleague behind the same address"
    assert console.sign_in(NAME, PASSWORD, clock.now(), HERE)[0]


def test_a_right_password_forgets_the_slips_before_it(console: act.Console) -> None:
    for _ in range(3):
        assert guess(console, NAME, HERE, brake.PAIR_TRIES - 1) == 0
        assert console.sign_in(NAME, PASSWORD, clock.now(), HERE)[0]


def test_many_guesses_at_once_are_no_way_around_it(console: act.Console) -> None:
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: guess(console, NAME, THERE, 1), range(40)))
    tried = [line for line in reads.audit(console.engine, limit=500) if line.action == "LogInRefused"]
    assert len(tried) == brake.PAIR_TRIES


def test_the_wait_ends_by_itself() -> None:
    now_s = [1000.0]
    held = Brake(lambda: now_s[0])
    for _ in range(brake.PAIR_TRIES):
        assert held.take(NAME, THERE) == 0
    assert held.take(NAME, THERE) == pytest.approx(brake.PAIR_S)
    now_s[0] += brake.PAIR_S + 0.1
    assert held.take(NAME, THERE) == 0


def test_failed_tries_stand_in_the_audit_with_where_they_came_from(console: act.Console) -> None:
    guess(console, NAME, THERE, brake.PAIR_TRIES + 3)
    lines = [(line.who, line.action, line.why) for line in reads.audit(console.engine)]
    assert lines.count((NAME, "LogInRefused", THERE)) == brake.PAIR_TRIES
    assert lines.count((NAME, "LogInHeldBack", THERE)) == 1


def test_what_was_typed_as_an_unknown_name_is_not_written_down(console: act.Console) -> None:
    for typed in (PASSWORD, "x" * 10_000, "a\x00b", "alice'--", "ALICE", ""):
        assert console.sign_in(typed, "wrong password", clock.now(), THERE)[0] == ""
    lines = reads.audit(console.engine)
    assert {line.who for line in lines if line.action == "LogInRefused"} == {accounts.NOBODY}
    assert not any(PASSWORD in f"{line.who}{line.subject}{line.why}" for line in lines)


def test_a_password_without_end_is_wrong_and_costs_nothing(console: act.Console) -> None:
    assert console.sign_in(NAME, PASSWORD + " " * 5_000_000, clock.now(), HERE)[0] == ""


def test_a_flood_of_tries_fills_neither_the_audit_nor_the_memory() -> None:
    held = Brake(lambda: 1000.0)
    written = 0
    for number in range(brake.MOST_KEYS + 5_000):
        assert held.take(f"user{number}", f"net{number}") == 0
        written += held.to_be_written()
    assert written <= 61
    assert len(held._tries) <= brake.MOST_KEYS


@pytest.mark.parametrize(
    ("address", "source"),
    [
        (None, ""),
        ("127.0.0.1", ""),
        ("::1", ""),
        ("testclient", ""),
        ("203.0.113.5", "203.0.113.5"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("::ffff:127.0.0.1", ""),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
    ],
)
def test_an_address_counts_as_the_place_that_it_belongs_to(address: str | None, source: str) -> None:
    assert source_of(address) == source


def test_a_session_begins_and_ends_as_before(console: act.Console) -> None:
    now = clock.now()
    token, _ = console.sign_in(f" {NAME} ", PASSWORD, now, HERE)
    found = console.who(token, now)
    assert found is not None
    assert (found.name, found.role) == (NAME, accounts.Role.RESPONDER)
    assert console.who(token, now + accounts.SESSION_LASTS + timedelta(seconds=1)) is None
    console.sign_out(token)
    assert console.who(token, now) is None
