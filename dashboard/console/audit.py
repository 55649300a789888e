"""Who did what, when and why."""

from __future__ import annotations

from dashboard.console import shared
from monitor.store import reads


def draw(session: shared.ConsoleSession) -> None:
    """Draw the newest lines first."""
    words = session.words
    rows = [
        {
            words("col_at"): shared.stamp(line.at),
            words("who"): line.who,
            words("action"): words.table["action"].get(line.action, line.action),
            words("subject"): line.subject,
            words("why_label"): line.why,
        }
        for line in reads.audit(session.console.engine, limit=200)
    ]
    shared.table(rows, words("no_audit"))
