"""The published uptime, against a count of every second made from the looks alone."""

import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from monitor import flow
from monitor.core import commands
from monitor.core.catalogue import Catalogue, Component, Policy, Probe, Service
from monitor.core.checks.sequential import EAGER_PAGES
from monitor.core.model.observations import Observation, Result, RunId
from monitor.core.model.reasons import Reason
from monitor.store import reads
from monitor.store.connection.engine import open_engine
from monitor.store.reads.views import Uptime
from monitor.store.upgrade import migrate
from tests.edges.flowing import T0

END_S = 1800
EVERY_S = 30
AT_ONCE = Policy(false_pages_per_year=EAGER_PAGES)
API = Probe("api", "deepseek/api", "http", EVERY_S, 5.0, policy=AT_ONCE)
STALE_S = AT_ONCE.stale_after_intervals * API.interval_s + API.timeout_s
REASONS = {
    "o": Reason.OK,
    "s": Reason.SLOW,
    "x": Reason.SERVER_ERROR,
    "-": Reason.NOT_RUNNING,
    "a": Reason.QUOTA,
    "c": Reason.CONNECT,
}
STATES = {"o": "up_s", "s": "degraded_s", "x": "down_s"}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """Return a SQLite file: what is tested here is arithmetic, the same over any database."""
    found = open_engine(f"sqlite:///{tmp_path}/chatwatch.db")
    migrate(found)
    yield found
    found.dispose()


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def made(letters: Iterable[str], location: str = "local", first_s: int = 0, probe: str = "api") -> Iterator[Result]:
    for number, letter in enumerate(letters):
        moment = at(first_s + number * EVERY_S)
        yield Result(RunId(probe, location, moment), moment, 0.5, Observation(REASONS[letter]))


def published(
    engine: Engine, probe: Probe, looks: Sequence[Result], planned: Sequence[tuple[int, int]] = (), *others: Probe
) -> Uptime:
    """Record looks as they come, with a sweep after each, and return what the page says of the time."""
    names = [item.component for item in (probe, *others)]
    services = tuple(Service(name.partition("/")[0], name) for name in names)
    parts = tuple(Component(name, name.partition("/")[0], name) for name in names)
    flow.publish_catalogue(engine, Catalogue(services, parts, (probe, *others)), T0)
    for start, end in planned:
        work = commands.ScheduleMaintenance("deepseek", (), "Planned work", at(start), at(end))
        flow.command(engine, work, "alice", T0)
    todo = sorted(looks, key=lambda result: result.started_at)
    for moment in (at(seconds) for seconds in range(10, END_S, 30)):
        batch = [result for result in todo if result.started_at < moment]
        todo = todo[len(batch) :]
        flow.record(engine, batch, moment)
        flow.check_in(engine, "worker", "local", moment)
        flow.sweep(engine, moment)
    return reads.snapshot(engine, at(END_S), public=True).services[0].components[0].uptime


def counted(letters: Sequence[str], planned: Sequence[tuple[int, int]]) -> Uptime:
    """Ask of every second: which look was the newest that told something, and how old was it?"""
    parts = dict.fromkeys(["up_s", "degraded_s", "down_s", "maintenance_s", "unknown_s"], 0.0)
    for second in range(END_S):
        told = [n for n, letter in enumerate(letters) if letter in STATES and n * EVERY_S <= second]
        known = told and second - told[-1] * EVERY_S < STALE_S
        state = STATES[_shown(letters, told[-1], second)] if known else "unknown_s"
        parts["maintenance_s" if any(low <= second < high for low, high in planned) else state] += 1
    return Uptime(float(END_S), **parts)


def _shown(letters: Sequence[str], newest: int, second: int) -> str:
    """Return what counts after a look: an outage ends midway between its last failed look and the next good one."""
    following = next((n for n in range(newest + 1, len(letters)) if letters[n] in STATES), None)
    if letters[newest] != "x" or following is None or (following - newest) * EVERY_S >= STALE_S:
        return letters[newest]
    return letters[following] if second * 2 >= (newest + following) * EVERY_S else "x"


@pytest.mark.parametrize("seed", range(3))
def test_the_published_uptime_is_what_counting_every_second_says(engine: Engine, seed: int) -> None:
    rng = random.Random(seed)
    letters: list[str] = []
    while len(letters) < END_S // EVERY_S:
        letters += rng.choice("oooxx--a") * rng.randint(1, 9)
    letters = letters[: END_S // EVERY_S]
    starts = [rng.randrange(END_S) for _ in range(3)]
    planned = [(start, start + rng.randint(20, 600)) for start in starts]
    assert published(engine, API, list(made(letters)), planned) == counted(letters, planned)


def place(letters: str, location: str, first_s: int) -> list[Result]:
    """Return looks written as ``o10 x20``."""
    words = (word for word in letters.split())
    return list(made("".join(word[0] * int(word[1:]) for word in words), location, first_s))


@pytest.mark.parametrize(
    ("berlin", "osaka", "down_s", "degraded_s"),
    [
        ("o10 x20 o30", "o10 x20 o30", 585, 3),  # in Osaka it is over three seconds later
        ("o10 x20 o30", "o10 x25 o25", 585, 153),
        ("o10 x20 o30", "o15 x15 o30", 585, 3),  # it began with the first failed look of all
        ("o10 x20 o30", "o10 x10 -40", 585, 0),  # the one that is left decides
        ("o10 x10 -40", "o10 x20 o30", 588, 0),
    ],
)
def test_an_outage_stays_one_whoever_recovers_first(
    engine: Engine, berlin: str, osaka: str, down_s: int, degraded_s: int
) -> None:
    looks = place(berlin, "berlin", 0) + place(osaka, "osaka", 3)
    both = Probe("api", "deepseek/api", "http", EVERY_S, 5.0, ("berlin", "osaka"), policy=AT_ONCE)
    found = published(engine, both, looks)
    assert (found.down_s, found.degraded_s, found.unknown_s) == (down_s, degraded_s, 0)
    assert found.up_s == END_S - down_s - degraded_s


def test_refused_connections_count_as_down_whenever_others_answer(engine: Engine) -> None:
    other = Probe("other", "openai/api", "http", EVERY_S, 5.0)
    looks = [*made("o" * 10 + "c" * 20 + "o" * 30), *made("o" * 60, first_s=15, probe="other")]
    found = published(engine, API, looks, (), other)
    assert (found.up_s, found.down_s, found.unknown_s) == (END_S - 585, 585, 0)


PATIENT = Policy(shortest_outage_s=3600.0, false_pages_per_year=0.001, early_looks=False, slo_target_ratio=0.99)
"""Opens nothing, so that no outage is told and every failed look burns the budget."""
BURNS: tuple[tuple[float, int, int, str], ...] = (
    (14.4, 3600, 300, "page"),
    (6.0, 21_600, 1800, "page"),
    (3.0, 86_400, 7200, "ticket"),
    (1.0, 86_400, 21_600, "ticket"),
)
DAY_S = 86_400


def burnt(failed: set[int]) -> str:
    """Count the looks of every window by hand: the loudest rule whose two windows both burn too fast."""
    for burn, long_s, short_s, loud in BURNS:
        looks = [range(DAY_S - length_s, DAY_S, EVERY_S) for length_s in (long_s, short_s)]
        if all(len(failed.intersection(window)) > burn * 0.01 * len(window) for window in looks):
            return loud
    return ""


@pytest.mark.parametrize(
    ("newest_s", "share", "loud"),
    [
        (0, 0.0, ""),
        (900, 1.0, "page"),
        (21_600, 0.08, "page"),
        (86_400, 0.02, "ticket"),
        (86_400, 0.007, ""),
    ],
)
def test_a_budget_burns_as_fast_as_counting_its_looks_says(
    engine: Engine, newest_s: int, share: float, loud: str
) -> None:
    rng, midnight = random.Random(3), T0.replace(hour=0)
    ticks = range(0, DAY_S, EVERY_S)
    failed = {second for second in ticks if second >= DAY_S - newest_s and rng.random() < share}
    assert burnt(failed) == loud
    probe = Probe("api", "deepseek/api", "http", EVERY_S, 5.0, policy=PATIENT)
    parts = (Component("deepseek/api", "deepseek", "API"),)
    flow.publish_catalogue(engine, Catalogue((Service("deepseek", "DeepSeek"),), parts, (probe,)), midnight)
    looks = []
    for second in ticks:
        moment, reason = midnight + timedelta(seconds=second), REASONS["x" if second in failed else "o"]
        looks.append(Result(RunId("api", "local", moment), moment, 0.5, Observation(reason)))
    now = midnight + timedelta(seconds=DAY_S)
    flow.record(engine, looks, now)
    flow.roll_up(engine, now)
    found = [view.alert.severity.value for view in reads.alerts(engine) if view.alert.rule == "burn_rate"]
    assert found == ([loud] if loud else [])
