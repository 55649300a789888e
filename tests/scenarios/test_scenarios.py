"""Every scenario file is played through the rules; what it expects must come, and nothing else."""

from pathlib import Path

import pytest
import yaml

from monitor.core.scenario import play as scenario

FILES = sorted(Path(__file__).parent.glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_scenario_ends_as_its_file_says(path: Path) -> None:
    report = scenario.run(yaml.safe_load(path.read_text(encoding="utf-8")))
    made = "\n  ".join(("", *report.timeline, "notices:", *report.notices, "withheld:", *report.withheld))
    assert not report.unmet, "\n".join((*report.unmet, "What came:" + made))


def test_every_scenario_says_what_it_is_about() -> None:
    assert len(FILES) >= 8
    for path in FILES:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert data["name"], path
        assert data["about"], path
