"""Past incidents, and one incident with its whole timeline."""

from __future__ import annotations

import streamlit as st

from dashboard.live import shared
from dashboard.scene import by_month, slug


def draw(visit: shared.Visit) -> None:
    """Draw the incident that the address names, else the list by month."""
    asked = st.query_params.get("incident", "")
    every = (*visit.snapshot.open_incidents, *visit.snapshot.past_incidents)
    chosen = next((item for item in every if asked and slug(item.id) == asked), None)
    if chosen is not None:
        shared.show(visit, "incident.html", incident=chosen)
        return
    service = shared.choose_service(visit) if len(visit.snapshot.services) > 1 else ""
    shown = shared.only(visit.snapshot, service)
    months = by_month((*shown.open_incidents, *shown.past_incidents), visit.words)
    shared.show(visit, "history.html", shown, months=months)
