"""Invariant 11: after every event of every scenario all outputs say the same.

Headline, titles, newest lines, JSON, feed, badges, icon, metrics and notices are read from what the doors render, in
English and Chinese; every scenario through memory, some through a database as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest
import yaml
from sqlalchemy import Engine

from monitor.core.commands import Command, CommandResult
from monitor.core.model.observations import Result
from monitor.core.scenario import play as scenario
from monitor.store import reads
from tests.agreement.watching import Pages, Watching
from tests.scenarios.recording import Recording
from tests.scenarios.test_same_in_the_database import FILES

SAMPLE = ("blind-while-monitored", "maintenance-in-mid-outage", "one-location", "postmortem", "sign-up-to-and-fro")


@pytest.mark.parametrize("path", FILES)
def test_all_outputs_agree_after_every_event(path: Path) -> None:
    report = scenario.run(yaml.safe_load(path.read_text(encoding="utf-8")), Watching)
    assert isinstance(report.judge, Watching)
    assert report.judge.asker.asked
    assert report.judge.asker.found == []


@dataclass
class Read(Recording):
    """Records into a database, and asks the doors what they make of it after every event."""

    pages: Pages = field(default_factory=Pages)

    def record(self, results: Sequence[Result]) -> None:
        """Take in looks, and ask."""
        super().record(results)
        self.ask(max(result.ended_at for result in results))

    def sweep(self, now: datetime) -> None:
        """Let time pass, and ask."""
        super().sweep(now)
        self.ask(now)

    def command(self, order: Command, who: str, now: datetime, why: str = "") -> CommandResult:
        """Carry out a command, and ask."""
        done = super().command(order, who, now, why)
        self.ask(now)
        return done

    def ask(self, now: datetime) -> None:
        """Read what the public reads now."""
        self.pages.show(reads.snapshot(self.engine, now, public=True, history=False), self.catalogue)


@pytest.mark.parametrize("name", SAMPLE)
def test_all_outputs_agree_about_what_is_recorded(name: str, engine: Engine) -> None:
    path = Path(__file__).with_name(f"{name}.yaml")
    report = scenario.run(yaml.safe_load(path.read_text(encoding="utf-8")), partial(Read, engine=engine))
    assert isinstance(report.judge, Read)
    assert report.judge.pages.asked
    assert report.judge.pages.found == []
