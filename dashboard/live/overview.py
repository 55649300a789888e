"""The overview: the web page's middle, filtered by service."""

from __future__ import annotations

from dashboard.live import shared


def draw(visit: shared.Visit) -> None:
    """Draw the sentence, the open incidents and the services."""
    service = shared.choose_service(visit) if len(visit.snapshot.services) > 1 else ""
    shared.show(visit, "index.html", shared.only(visit.snapshot, service))
