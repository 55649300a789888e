"""One judgement: memory (replay, backtest, scenarios) and a database (recorder) make the same of the same.

Random catalogues, looks, passing time, workers' reports, deliveries, edits of the catalogue and people's commands go
through :class:`monitor.core.evaluation.Evaluation` over both stores. Spans, states, incidents with their events, alerts
with their history, decisions with their reasons, and notices must be equal, to the microsecond. The database's looks
are flushed at random bounds by two workers, with leases or without; engines are closed and opened again.

What the two cannot share, and the cases leave out:

* Looks that are recorded while the clock of the database's worker is behind them: a watermark that lies in the future
  is forgotten when it is read (:func:`monitor.core.health.rewind`), and only who writes has a present to compare with.
* Looks that come out of order are judged in the order in which they came on both sides: what was judged stays judged.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import get_args

import pytest

from monitor.core import commands as c
from monitor.core.catalogue import Planned
from monitor.core.maintenance import Maintenance
from monitor.core.model.alert_rules import Rule
from monitor.core.model.alerting import Why
from monitor.core.model.incident_events import EventKind
from monitor.core.model.states import Impact
from tests.edges.databases import Server
from tests.judgement.empty import postgres_databases, sqlite_files
from tests.judgement.findings import Reached
from tests.judgement.same import Both, compare, play
from tests.judgement.steps import Order, Publish, Step, Sweep
from tests.judgement.stories import commands as people
from tests.judgement.stories.stage import START, Stage
from tests.judgement.worlds import world

CASES, CASES_ON_POSTGRESQL = 200, 50


def test_memory_and_a_sqlite_file_judge_alike_and_the_cases_reach_every_rule(tmp_path: Path) -> None:
    with sqlite_files(tmp_path) as fresh:
        for reached in play(CASES, fresh):
            assert reached.events == set(EventKind)
            assert reached.whys == set(Why)
            assert reached.rules == set(Rule) - {Rule.STORE}, "that one is told without a store"
            assert reached.commands == set(get_args(c.Command))


@pytest.mark.postgres
def test_memory_and_postgresql_judge_alike(postgres_server: Server) -> None:
    with postgres_databases(postgres_server) as fresh:
        play(CASES_ON_POSTGRESQL, fresh)


def alike(steps: list[Step], folder: Path) -> Both:
    reached = Both(Reached(), Reached())
    with sqlite_files(folder) as fresh:
        assert compare(steps, fresh(), reached) == []
    return reached


MINUTE = timedelta(minutes=1)
TWICE = (
    c.SendTest("pager"),
    c.Silence(START + MINUTE, everything=True),
    c.ScheduleMaintenance("alpha", (), "Work", START + MINUTE, START + 2 * MINUTE),
)


@pytest.mark.parametrize("command", TWICE, ids=lambda item: type(item).__name__)
def test_a_command_that_is_given_twice_at_one_moment_counts_once(command: c.Command, tmp_path: Path) -> None:
    given = people.said(START, command)
    alike([Publish(world(Random(1), START), START), given, given], tmp_path)


def test_an_incident_cannot_be_opened_with_a_component_of_another_service(tmp_path: Path) -> None:
    catalogue = world(Random(1), START)
    foreign = next(item.id for item in catalogue.components if item.service == "beta")
    order = Order(lambda _: c.OpenIncident("alpha", (foreign,), Impact.MAJOR, "Wrong"), "alice", START)
    both = alike([Publish(catalogue, START), order], tmp_path)
    assert all(reached.refused == {c.OpenIncident} for reached in both)


def test_planned_work_of_the_configuration_counts_wherever_it_is_judged(tmp_path: Path) -> None:
    stage = Stage(Random(1), replace(world(Random(1), START), routes=(), planned=()))
    work = Maintenance("m1", "alpha", (), START, START + 4 * MINUTE)
    first = replace(stage.catalogue, planned=(Planned(work, "Work"),))
    longer = replace(first, version="2", planned=(Planned(replace(work, ends_at=START + 9 * MINUTE), "Work"),))
    gone = replace(first, version="3", planned=())
    steps: list[Step] = []
    for number, catalogue in enumerate((first, longer, gone, first)):
        at = START + number * MINUTE
        steps += [Publish(catalogue, at), Sweep(at + MINUTE / 2)]
    alike(steps, tmp_path)
