"""How we measure: rendered from the policy in force."""

from __future__ import annotations

from dashboard.live import shared as public
from dashboard.web.render import method_page


def draw(visit: public.Visit) -> None:
    """Draw the method page."""
    public.show(visit, "method.html", **method_page(visit.words, visit.reading.catalogue))
