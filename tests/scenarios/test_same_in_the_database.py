"""The scenarios once more, through the recorder and a real SQLite file: what is stored is what the rules say."""

from functools import partial
from pathlib import Path

import pytest
import yaml
from sqlalchemy import Engine

from monitor.core.scenario import play as scenario
from tests.scenarios.recording import Recording

WEEKS_LONG = "slower-than-usual"
FILES = [
    pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if path.stem == WEEKS_LONG else [])
    for path in sorted(Path(__file__).parent.glob("*.yaml"))
]


@pytest.mark.parametrize("path", FILES)
def test_a_scenario_ends_as_its_file_says_when_it_is_recorded(path: Path, engine: Engine) -> None:
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    report = scenario.run(data, partial(Recording, engine=engine))
    in_memory = scenario.run(data)
    assert not report.unmet, "\n".join((*report.unmet, "What came:", *report.timeline, *report.notices))
    assert report.timeline == in_memory.timeline
    assert report.notices == in_memory.notices
    assert report.withheld == in_memory.withheld
