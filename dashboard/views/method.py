"""How we measure: rendered from the policy in force."""

from __future__ import annotations

from dashboard.render import method_page
from dashboard.views import public


def draw(visit: public.Visit) -> None:
    """Draw the method page."""
    public.show(visit, "method.html", **method_page(visit.words, visit.reading.catalogue))
