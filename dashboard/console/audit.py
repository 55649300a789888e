"""Who did what, when and why."""

from __future__ import annotations

from dashboard.console import shared as desk
from monitor.store import reads


def draw(shift: desk.Shift) -> None:
    """Draw the newest lines first."""
    words = shift.words
    rows = [
        {
            words("col_at"): desk.stamp(line.at),
            words("who"): line.who,
            words("action"): words.table["action"].get(line.action, line.action),
            words("subject"): line.subject,
            words("why_label"): line.why,
        }
        for line in reads.audit(shift.desk.engine, limit=200)
    ]
    desk.table(rows, words("no_audit"))
