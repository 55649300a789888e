"""Latency and failures of one component over a window, with its incidents shaded."""

from __future__ import annotations

from datetime import datetime, timedelta

import streamlit as st

from dashboard.data import bucket
from dashboard.live import figures, shared
from dashboard.sentences import name_of
from dashboard.titles import worst_state
from monitor.core.catalogue import ComponentKind
from monitor.store.reads.views import ComponentView, LatencyPoint

WINDOWS_H = (6, 24, 168, 720)


def draw(visit: shared.Visit) -> None:
    """Draw the choices and the figure."""
    words = visit.words
    parts = {part.id: part for service in visit.snapshot.services for part in service.components}
    measured = {key: part for key, part in parts.items() if part.kind is not ComponentKind.REGISTRATION}
    if not measured:
        shared.show(visit, "index.html")
        return
    names = {view.id: view.name for view in visit.snapshot.services}
    left, right = st.columns([2, 1])
    with left:
        chosen = st.selectbox(
            words("choose_component"),
            sorted(measured, key=lambda key: (list(names).index(measured[key].service), measured[key].kind != "api")),
            format_func=lambda key: f"{names[measured[key].service]} · {name_of(measured[key], words)}",
            key="component",
            bind="query-params",
        )
    with right:
        hours = st.segmented_control(
            words("choose_window"), WINDOWS_H, format_func=lambda key: words(f"window_{key}"), default=24, key="hours"
        )
    part = measured.get(str(chosen)) or next(iter(measured.values()))
    figure(visit, part, int(hours or 24))


def figure(visit: shared.Visit, part: ComponentView, hours: int) -> None:
    """Draw the figure of one component."""
    words, now = visit.words, visit.snapshot.taken_at
    points, step = series(visit, part, now, hours)
    if not any(point.looks for point in points):
        st.info(words("chart_none"))
        return
    what = part.latency.what if part.latency else "response"
    since = now - timedelta(hours=hours)
    spans = [
        figures.Span(max(item.started_at, since), item.resolved_at or now, worst_state(item), item.id)
        for item in (*visit.snapshot.open_incidents, *visit.snapshot.past_incidents)
        if part.id in item.components and (item.resolved_at or now) > since
    ]
    st.plotly_chart(
        figures.latency_figure(points, spans, figures.Window(since, now, step), what, words, visit.theme),
        width="stretch",
        theme=None,
        alt=words("chart_alt", what=words(what), name=name_of(part, words)),
        config={"displaylogo": False, "modeBarButtons": [["toImage"]], "scrollZoom": False},
        key="latency",
    )
    zone = words("zone_local", zone=words.zone_label) + words("full_stop").rstrip()
    st.html(f'<p class="age">{words("chart_hint")} {zone}</p>')
    name = f"{part.id.replace('/', '-')}-{hours}h.csv"
    st.download_button(words("csv"), figures.as_csv(points), file_name=name, mime="text/csv", key="csv")


def series(
    visit: shared.Visit, part: ComponentView, now: datetime, hours: int
) -> tuple[tuple[LatencyPoint, ...], timedelta]:
    """Return the component's series and its step; if the database is away, the snapshot's 24 hours by the hour."""
    try:
        return visit.reader.latency(part.id, now, hours), bucket(hours)
    except Exception:  # the page says already that the database cannot be read
        return part.latency.recent if part.latency else (), timedelta(hours=1)
