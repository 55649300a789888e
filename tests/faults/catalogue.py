"""The fault catalogue: 72 rows, each with who plays it."""

from __future__ import annotations

from tests.faults import inputs, schedule, storage, target, telling
from tests.faults.rows import Row

CHAPTERS: dict[str, tuple[Row, ...]] = {
    "Target and network": target.ROWS,
    "Schedule and clock": schedule.ROWS,
    "Storage": storage.ROWS,
    "Alerts and delivery": telling.ROWS,
    "Inputs, pages, secrets": inputs.ROWS,
}
ROWS = tuple(row for rows in CHAPTERS.values() for row in rows)
