"""How we measure: rendered from the policy in force."""

from __future__ import annotations

from dashboard.live import shared
from dashboard.method import method_page


def draw(visit: shared.Visit) -> None:
    """Draw the method page."""
    shared.show(visit, "method.html", **method_page(visit.words, visit.reading.catalogue))
