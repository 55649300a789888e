"""Every colour that is drawn, by what it stands for, on light and on dark paper.

The page's style sheet, badges, favicons, charts and Streamlit's themes take theirs from here.
"""

from __future__ import annotations

from collections.abc import Mapping

LIGHT, DARK = "light", "dark"

STATES: Mapping[str, tuple[str, str]] = {
    "operational": ("#13a975", "#8addbd"),
    "degraded_performance": ("#eac73f", "#f9e536"),
    "partial_outage": ("#da6714", "#ec8d3b"),
    "major_outage": ("#841132", "#cb1c24"),
    "maintenance": ("#766cc0", "#9192c7"),
    "unknown": ("#ceceda", "#56595d"),
}
"""State of a component → its colour on light and on dark paper. Beside it there is always its shape and its word."""
PARTS: Mapping[str, tuple[str, str]] = {
    "ink": ("#1a1d23", "#e8eaee"),
    "paper": ("#ffffff", "#0f131a"),
    "dim": ("#596070", "#a0a8b6"),
    "line": ("#e2e5ea", "#262c37"),
    "soft": ("#f5f6f8", "#171c25"),
    "hatch": ("#85859a", "#7b8087"),
    "note": ("#8a90a0", "#79818f"),
    "link": ("#2d3f8f", "#a9b8f5"),
    "edge": ("#927400", "#f9e536"),
}
"""All else on the page. ``hatch`` is what unknown is drawn with, ``edge`` the rim of yellow marks."""
BUTTON = ("#3a4a8c", "#566ad0")
BADGE = "#2b303b"
"""The left field of a badge; it stands on strangers' pages, whatever their paper is."""
_FAINT = (("#b4b9c4", "#d6d9e0"), ("#59606e", "#3c434f"))


def colour(name: str, theme: str = LIGHT) -> str:
    """Return the colour of a state or part."""
    return (STATES.get(name) or PARTS[name])[theme == DARK]


def tints(theme: str) -> tuple[str, ...]:
    """Return five greys for lines of one chart, the strongest first."""
    return (*(colour(name, theme) for name in ("ink", "dim", "note")), *_FAINT[theme == DARK])


def variables(theme: str) -> str:
    """Return the style sheet's variables, as ``--ink: #1a1d23; …``."""
    return " ".join(f"--{name}: {colour(name, theme)};" for name in (*PARTS, *STATES))


def style_sheet(text: str) -> str:
    """Return a style sheet with the palette in the place of its two marks."""
    return text.replace("/* light palette */", variables(LIGHT)).replace("/* dark palette */", variables(DARK))
