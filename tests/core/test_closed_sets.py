"""A member that is added to a closed set fails the type checker in every place that has to know it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MERGED = "@dataclass(frozen=True)\nclass Merged:\n    kind: ClassVar = EventKind.MERGED\n"
ANOTHER = '@dataclass(frozen=True)\nclass Another:\n    kind: ClassVar = "another"\n'
CHANGES = [
    ("core/model/alert_rules.py", '    TEST = "test"\n', '    TEST = "test"\n    NEW = "new"\n'),
    ("core/model/warning_codes.py", "    UPSTREAM_UNREADABLE = ", '    NEW = "new.code"\n    UPSTREAM_UNREADABLE = '),
    ("core/model/incident_events.py", '    RELATED = "related"\n', '    RELATED = "related"\n    MERGED = "merged"\n'),
    (
        "core/model/incident_events.py",
        "EventData = (\n",
        f"{MERGED}\n\nEventData = (\n    Merged |\n",
    ),
    ("runtime/messages.py", "FromProber = Batch", f"{ANOTHER}\n\nFromProber = Another | Batch"),
    ("runtime/messages.py", "FromRecorder = Ack", "FromRecorder = Another | Ack"),
]
KNOW = [
    "dashboard/timeline.py",
    "monitor/core/model/incident_events.py",
    "monitor/core/incidents/transitions.py",
    "monitor/core/alerts/warnings.py",
    "monitor/core/model/alert_rules.py",
    "monitor/core/scenario/play.py",
    "monitor/demo/narrator.py",
    "monitor/prober/uplink.py",
    "monitor/recorder/recorder.py",
    "monitor/store/reads/timelines.py",
    "monitor/recorder/process.py",
    "monitor/flow/telling.py",
]


@pytest.mark.slow
def test_a_new_rule_event_warning_or_message_is_asked_for_everywhere(tmp_path: Path) -> None:
    for room in ("monitor", "dashboard"):
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name, before, after in CHANGES:
        file = tmp_path / "monitor" / name
        text = file.read_text("utf-8")
        assert text.count(before) == 1, f"{name} has changed: mend this test"
        file.write_text(text.replace(before, after), "utf-8")
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), "--no-incremental", *KNOW]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    faults = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert {line.partition(":")[0] for line in faults} == set(KNOW), done.stdout + done.stderr
    assert all("assert_never" in line or "Missing return" in line for line in faults), done.stdout
