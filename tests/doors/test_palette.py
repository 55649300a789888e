"""Colours stand once: whatever is drawn takes its own from the palette."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dashboard import palette
from dashboard.live import figures
from dashboard.scene import asset
from dashboard.web import feeds
from monitor.core.model.states import Health
from tests.doors.running import ROOT

HEX = re.compile(r"#[0-9a-fA-F]{6}\b")  # paper from a printer knows black, white and grey, in three digits
FILES = [path for kind in ("py", "css", "html", "js") for path in ROOT.glob(f"dashboard/**/*.{kind}")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_colour_is_written_out_beside_the_palette(path: Path) -> None:
    if path.name != "palette.py":
        assert HEX.findall(path.read_text(encoding="utf-8")) == []


def test_every_state_has_a_colour_a_badge_and_a_shape() -> None:
    states = {*map(str, Health), "maintenance"}
    assert palette.STATES.keys() == states == feeds.shapes().keys()
    for state in states:
        assert palette.colour(state) in feeds.badge("Shop", "word", state).decode()


def test_the_style_sheet_has_every_colour_on_both_papers() -> None:
    css = asset("style.css")
    assert "palette */" not in css
    for name, both in {**palette.STATES, **palette.PARTS}.items():
        found = re.findall(rf"--{name}: (#[0-9a-f]{{6}});", css)
        assert found == [both[0], both[1], both[1]], "light, dark by wish, dark by the browser"


@pytest.mark.parametrize("theme", [palette.LIGHT, palette.DARK])
def test_a_chart_has_the_papers_ink_and_five_greys(theme: str) -> None:
    assert len(set(palette.tints(theme))) == figures.SHOWN
    assert palette.tints(theme)[0] == palette.colour("ink", theme)
