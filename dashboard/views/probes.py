"""Every probe at every location with its newest look, and what is switched off and why."""

from __future__ import annotations

from dashboard.views import desk
from dashboard.words import plain
from monitor.store import reads


def draw(shift: desk.Shift) -> None:
    """Draw the table."""
    words = shift.words
    rows = []
    for view in reads.probes(shift.desk.engine):
        seen = view.result
        rows.append(
            {
                words("probe"): view.probe.id,
                words("location"): view.location,
                words("target"): view.probe.target,
                words("interval"): words.duration(view.probe.interval_s),
                words("last_look"): desk.stamp(seen.started_at) if seen else "–",
                words("status"): str(seen.outcome) if seen else "–",
                words("reason_head"): said(shift, view.probe.disabled, seen.observation.detail if seen else ""),
            }
        )
    desk.table(rows, words("no_probes"))


def said(shift: desk.Shift, disabled: str, detail: str) -> str:
    """Return why a probe does not run, or what it saw."""
    return shift.words("disabled", why=plain(disabled, 160)) if disabled else plain(detail, 160)
