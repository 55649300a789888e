"""Views to Plotly figures. Pure: one question a chart, the question as its title; gaps stay gaps."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard.palette import colour, tints
from dashboard.parts import with_gaps
from dashboard.words import Words, capital
from monitor.core.model.reasons import Reason, Scope
from monitor.store.reads.views import LatencyPoint

REASONS = {str(reason): reason for reason in Reason}
SHOWN = 5
STACKED = (1, 3, 2, 4, 0)
"""Which tints the reasons get, the commonest first: neighbours differ, and the page's ink is the last one's."""
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif'


class Window(NamedTuple):
    """What the time axis shows, whole, and how long one point's bucket is."""

    start: datetime
    end: datetime
    step: timedelta


class Span(NamedTuple):
    """An incident or a maintenance over the time axis."""

    start: datetime
    end: datetime
    state: str
    label: str


def latency_figure(
    points: Sequence[LatencyPoint], spans: Sequence[Span], window: Window, what: str, words: Words, theme: str
) -> go.Figure:
    """Return p50 with its band to p95 above, failures by reason below, on one time axis.

    A point stands in the middle of its bucket, a bar covers it: drawn where it begins, trouble would lie before itself.
    """
    points = [replace(point, at=point.at + window.step / 2) for point in with_gaps(points)]
    figure = make_subplots(
        rows=2,
        cols=1,
        shared_xaxes=True,
        row_heights=[0.68, 0.32],
        vertical_spacing=0.14,
        subplot_titles=(words(f"chart_{what}"), words("chart_failures")),
    )
    draw_latency(figure, points, words, theme)
    draw_failures(figure, points, window.step, words, theme)
    for span in spans:
        figure.add_vrect(
            x0=local(span.start, words),
            x1=local(span.end, words),
            fillcolor=colour(span.state),
            opacity=0.14,
            line_width=0,
            layer="below",
        )
    style(figure, theme)
    dated(figure, window, words)
    if decade(points):
        figure.update_yaxes(type="log", row=1, col=1, dtick=1)
    figure.update_yaxes(ticksuffix=" s", row=1, col=1)
    return figure


def local(when: datetime, words: Words) -> datetime:
    """Return the reader's wall time without its zone: Plotly would turn it into UTC."""
    return when.astimezone(words.zone).replace(tzinfo=None)


def dated(figure: go.Figure, window: Window, words: Words) -> None:
    """Label the time axis in the reader's language, few and level enough for a phone."""
    day = words.section("date", "axis")
    long = window.end - window.start > timedelta(days=3)
    figure.update_xaxes(
        range=[local(window.start, words), local(window.end, words)],
        tickformat=day if long else f"%H:%M\n{day}",
        nticks=6,
        tickangle=0,
        hoverformat=f"{day} %H:%M",
    )


def decade(points: Sequence[LatencyPoint]) -> bool:
    """Return whether the values span a decade, so that a log axis says more."""
    low = min((point.p50_s for point in points if point.p50_s), default=1.0)
    high = max((point.p95_s for point in points if point.p95_s), default=1.0)
    return high > 10 * low


def draw_latency(figure: go.Figure, points: Sequence[LatencyPoint], words: Words, theme: str) -> None:
    """Add the line and the band, named where they end instead of in a legend."""
    ink, at = colour("ink", theme), [local(point.at, words) for point in points]
    counts = [f"{words('looks')}: {point.looks}" for point in points]
    for start, end in stretches(points):
        xs = at[start:end]
        tops = [points[index].p95_s for index in range(start, end)]
        lows = [points[index].p50_s for index in range(start, end)]
        band: dict[str, Any] = {"mode": "lines", "line_width": 0, "showlegend": False, "hoverinfo": "skip"}
        figure.add_scatter(x=xs, y=lows, row=1, col=1, **band)
        figure.add_scatter(x=xs, y=tops, fill="tonexty", fillcolor=tint(ink, 0.13), row=1, col=1, **band)
    for name, width in (("p95", 1.0), ("p50", 2.0)):
        ys = [point.p50_s if name == "p50" else point.p95_s for point in points]
        figure.add_scatter(
            x=at,
            y=ys,
            mode="lines",
            name=name,
            line={"color": ink, "width": width, "dash": "solid" if name == "p50" else "dot"},
            connectgaps=False,
            showlegend=False,
            customdata=[[words.latency(y), count] for y, count in zip(ys, counts, strict=True)],
            hovertemplate=f"{name} %{{customdata[0]}}<br>%{{customdata[1]}}<extra></extra>",
            row=1,
            col=1,
        )
        last = next((index for index in range(len(ys) - 1, -1, -1) if ys[index]), None)
        if last is not None:
            label(figure, (at[last], ys[last] or 0.0), name, ink, decade(points))


def label(figure: go.Figure, end: tuple[datetime, float], text: str, ink: str, log: bool) -> None:
    """Write a line's name at its end, the upper one's above it: the two may meet.

    On a log axis Plotly wants the annotation's exponent, not its value.
    """
    x, y = end
    height = math.log10(y) if log and y else y
    figure.add_annotation(
        x=x,
        y=height,
        text=text,
        showarrow=False,
        xanchor="left",
        xshift=4,
        yshift=7 if text == "p95" else -7,
        font={"color": ink, "size": 12},
        row=1,
        col=1,
    )


def stretches(points: Sequence[LatencyPoint]) -> list[tuple[int, int]]:
    """Return the unbroken index ranges of a series."""
    found, start = [], None
    for index, point in enumerate([*points, None]):
        known = point is not None and point.p50_s is not None and point.p95_s is not None
        if known and start is None:
            start = index
        elif not known and start is not None:
            found.append((start, index))
            start = None
    return found


def draw_failures(figure: go.Figure, points: Sequence[LatencyPoint], step: timedelta, words: Words, theme: str) -> None:
    """Add stacked counts of what failed; what says nothing about the service is hatched."""
    totals: Counter[str] = Counter()
    for point in points:
        totals.update(point.failures)
    for index, (reason, _) in enumerate(totals.most_common(SHOWN)):
        known = REASONS.get(reason)
        ours = known is None or known.scope in (Scope.ACCOUNT, Scope.PROBE)
        name = capital(words.of(known)) if known else reason
        figure.add_bar(
            x=[local(point.at, words) for point in points],
            y=[point.failures.get(reason, 0) for point in points],
            width=step.total_seconds() * 1000,
            name=name,
            marker={
                "color": colour("hatch", theme) if ours else tints(theme)[STACKED[index]],
                "pattern": {"shape": "/" if ours else "", "fgcolor": colour("hatch", theme), "size": 5},
                "line": {"width": 0},
            },
            hovertemplate=f"{name}: %{{y}}<extra></extra>",
            row=2,
            col=1,
        )
    if not totals:
        figure.add_annotation(
            text=words("chart_no_failures"),
            showarrow=False,
            x=0,
            y=0.2,
            xref="paper",
            yref="paper",
            xanchor="left",
            font={"color": tints(theme)[1], "size": 13},
        )
        figure.update_yaxes(range=[0, 1], showticklabels=False, row=2, col=1)


def tint(colour: str, opacity: float) -> str:
    """Return ``#rrggbb`` as rgba."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def style(figure: go.Figure, theme: str) -> None:
    """Give a figure the house's type, colours and quiet axes."""
    ink, line = colour("ink", theme), tint(colour("ink", theme), 0.12)
    figure.update_layout(
        height=460,
        barmode="stack",
        margin={"l": 8, "r": 44, "t": 36, "b": 8},
        paper_bgcolor=colour("paper", theme),
        plot_bgcolor=colour("paper", theme),
        font={"family": FONT, "size": 13, "color": ink},
        hovermode="x unified",
        hoverlabel={"bgcolor": colour("paper", theme), "bordercolor": line, "font": {"color": ink}},
        legend={"orientation": "h", "y": -0.2, "x": 0, "yanchor": "top", "font": {"size": 12}, "itemclick": False},
    )
    figure.update_xaxes(showgrid=False, linecolor=line, ticks="outside", tickcolor=line, automargin=True)
    figure.update_yaxes(gridcolor=line, zeroline=False, rangemode="tozero", automargin=True)
    for title in figure.layout.annotations[:2]:
        title.update(x=0, xanchor="left", font={"size": 15, "color": ink})


def as_csv(points: Sequence[LatencyPoint]) -> bytes:
    """Return the series for a spreadsheet. Cells are our own numbers and codes, so none can start a formula."""
    reasons = sorted({reason for point in points for reason in point.failures if reason in REASONS})
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["at_utc", "looks", "p50_s", "p95_s", *reasons])
    for point in points:
        counts = [point.failures.get(reason, 0) for reason in reasons]
        writer.writerow([point.at.isoformat(), point.looks, point.p50_s, point.p95_s, *counts])
    return file.getvalue().encode()
