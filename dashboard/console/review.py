"""Review: every alert gets a verdict afterwards; the unjudged are a bucket of their own."""

from __future__ import annotations

import html
from collections import Counter
from datetime import timedelta

import streamlit as st

from dashboard.console import shared
from monitor.core.commands import JudgeAlert
from monitor.core.model.alerting import AlertState, Verdict
from monitor.store import reads
from monitor.store.reads.views import AlertView
from monitor.text.cleaner import plain

WINDOW = timedelta(days=90)
CHOICES = (Verdict.ACTIONABLE, Verdict.INFORMATIONAL, Verdict.NOISE, Verdict.DUPLICATE)
SHOWN = 30


def draw(session: shared.ConsoleSession) -> None:
    """Draw the counts and the unjudged alerts, newest first."""
    words = session.words
    views = reads.alerts(session.console.engine, since=session.now - WINDOW, limit=2000)
    counts = Counter(view.verdict for view in views)
    open_ones = [view for view in views if view.verdict is None and view.alert.state is AlertState.RESOLVED]
    good = counts[Verdict.ACTIONABLE]
    told = good + counts[Verdict.NOISE] + counts[Verdict.DUPLICATE]
    share = words.percent(good / told) if told else "–"
    st.html(
        f'<p class="counts">{words("unjudged", n=len(open_ones))} · {words("judged", n=len(views) - counts[None])} · '
        f"{words('precision')} <b>{share}</b></p>"
        f'<p class="line dim">{words("precision")} = {words("precision_formula")}</p>'
    )
    if not open_ones:
        st.html(f'<p class="empty">{words("review_none")}</p>')
        return
    st.html(f'<p class="line dim">{words("review_intro")}</p>')
    for view in open_ones[:SHOWN]:
        row(session, view)


def row(session: shared.ConsoleSession, view: AlertView) -> None:
    """Draw one alert with its four verdicts."""
    words, alert = session.words, view.alert
    with st.container(key=f"judge-{alert.id}", gap=None):
        left, *buttons = st.columns([5, 1.3, 1.4, 1, 1.2], vertical_alignment="center")
    lasted = words.duration(((alert.resolved_at or session.now) - alert.started_at).total_seconds())
    line = html.escape(plain(shared.alert_line(view, words), 160))
    left.html(f'<p class="line">{line} <span class="dim">{words.moment(alert.started_at)} · {lasted}</span></p>')
    for button, verdict in zip(buttons, CHOICES, strict=True):
        button.button(
            words.of(verdict),
            key=f"{verdict}-{alert.id}",
            disabled=session.looks_only,
            on_click=shared.order,
            args=(session, JudgeAlert(alert.id, verdict)),
            width="stretch",
        )
