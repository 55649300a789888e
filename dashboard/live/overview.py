"""The overview: the web page's middle, filtered by service."""

from __future__ import annotations

from dashboard.live import shared as public


def draw(visit: public.Visit) -> None:
    """Draw the sentence, the open incidents and the services."""
    service = public.choose_service(visit) if len(visit.snapshot.services) > 1 else ""
    public.show(visit, "index.html", public.only(visit.snapshot, service))
