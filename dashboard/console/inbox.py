"""The inbox: each open alert in one line, the next thing to do always in the same place."""

from __future__ import annotations

import html

import streamlit as st

from dashboard.console import shared
from dashboard.parts import mark
from dashboard.words import Words
from monitor.core.commands import AcknowledgeAlert, ResolveAlert
from monitor.core.model.alert_rules import is_operators
from monitor.core.model.alerting import AlertState, Severity
from monitor.core.model.states import Health
from monitor.store import reads
from monitor.store.reads.views import AlertView, Snapshot
from monitor.text import alerts as text
from monitor.text.cleaner import plain
from monitor.text.messages import told

COLUMNS = [5.2, 2.6, 2.6, 1.6]


def draw(session: shared.ConsoleSession) -> None:
    """Draw the state of the workers, the counts and the open alerts, loudest first."""
    words = session.words
    views = sorted(reads.alerts(session.console.engine, open_only=True), key=loudness)
    workers(reads.snapshot(session.console.engine, session.now, public=False), words)
    firing = sum(view.alert.state is AlertState.FIRING for view in views)
    st.html(f'<p class="counts">{words("inbox_counts", firing=firing, acknowledged=len(views) - firing)}</p>')
    if not views:
        st.html(f'<p class="empty">{mark("operational")} {words("inbox_empty")}</p>')
    first = True
    for view in views:
        row(session, view, first and view.alert.state is AlertState.FIRING)
        first = first and view.alert.state is not AlertState.FIRING


def loudness(view: AlertView) -> tuple[int, int, float]:
    """Return the order of the list: unacknowledged before acknowledged, pages before tickets, newest first."""
    alert = view.alert
    rank = {Severity.PAGE: 0, Severity.TICKET: 1, Severity.INFO: 2}[alert.severity]
    return int(alert.state is not AlertState.FIRING), rank, -alert.fired_at.timestamp()


def state_of(view: AlertView) -> str:
    """Return the state that is drawn beside an alert."""
    health = view.alert.summary.get("health")
    if health in list(Health):
        return str(health)
    return str(Health.UNKNOWN if is_operators(view.alert.rule) else Health.PARTIAL)


def row(session: shared.ConsoleSession, view: AlertView, with_key: bool) -> None:
    """Draw one alert; the first unacknowledged one also answers to the key A."""
    words, alert = session.words, view.alert
    with st.container(key=f"alert-{alert.id}", gap=None):
        what, start, owner, button = st.columns(COLUMNS, vertical_alignment="center")
        line = plain(shared.alert_line(view, words), 160)
        what.html(
            f'<p class="line" data-state="{alert.state}">{mark(state_of(view))} <b>{html.escape(line)}</b> '
            f'<span class="tag">{words.of(alert.severity)}</span></p>'
        )
        start.html(f'<p class="line dim">{shared.since(words, alert.started_at, session.now)}</p>')
        held = words("nobody_has_it")
        if alert.acknowledged_at is not None:
            name = html.escape(plain(alert.acknowledged_by, 40))
            held = words("acknowledged_by", name=name, time=words.moment(alert.acknowledged_at, "short"))
        owner.html(f'<p class="line dim">{held}</p>')
        if alert.state is AlertState.FIRING:
            button.button(
                words("acknowledge"),
                key=f"ack-{alert.id}",
                type="primary",
                disabled=session.looks_only,
                on_click=shared.order,
                args=(session, AcknowledgeAlert(alert.id)),
                width="stretch",
                shortcut="a" if with_key else None,
            )
        with st.expander(next_step(view, words)):
            detail(session, view)


def next_step(view: AlertView, words: Words) -> str:
    """Return what to do next."""
    if view.alert.state is AlertState.FIRING:
        return words("next_acknowledge")
    if is_operators(view.alert.rule):
        return words("next_operator")
    return words("next_incident" if view.alert.incident else "next_wait")


def detail(session: shared.ConsoleSession, view: AlertView) -> None:
    """Draw why who was told, the deliveries, and the way to end the alert by hand."""
    words, alert = session.words, view.alert
    rows = text.fact_rows(alert, words)
    facts = " · ".join(f"{plain(name, 40)}{words('colon')}{plain(value, 160)}" for name, value in rows)
    if facts:
        st.text(facts)
    st.html(f"<h3>{words('told_who')}</h3>")
    decisions = [
        {
            words("col_at"): shared.stamp(decision.at),
            words("col_route"): decision.route,
            words("col_decision"): words.of(decision.why),
        }
        for decision in view.decisions
    ]
    shared.table(decisions, words("told_nobody"))
    st.html(f"<h3>{words('deliveries')}</h3>")
    notices = [
        {
            words("col_channel"): notice.channel,
            words("col_state"): words.section("sending", notice.sending),
            words("col_sent"): shared.stamp(notice.sent_at),
            words("col_tries"): str(notice.tries),
            words("col_error"): told(notice.error, words, 200),
        }
        for notice in view.notices
    ]
    shared.table(notices, words("no_deliveries"))
    with st.form(f"end-{alert.id}", border=False):
        left, right = st.columns([5, 1.6], vertical_alignment="bottom")
        why = left.text_input(words("why_label"), key=f"why-{alert.id}")
        if right.form_submit_button(words("resolve"), width="stretch", disabled=session.looks_only):
            shared.order(session, ResolveAlert(alert.id), why)
            st.rerun()


def workers(snapshot: Snapshot, words: Words) -> None:
    """Draw whether we can see at all."""
    for worker in snapshot.workers:
        ago = words("ago", duration=words.duration((snapshot.taken_at - worker.seen_at).total_seconds()))
        line, state = words("worker_line", location=plain(worker.location, 40), ago=ago), "operational"
        if worker.blind_since is not None:
            time, reason = words.moment(worker.blind_since), told(worker.blind_reason, words, 160)
            line += " · " + words("worker_blind", time=time, reason=reason)
            state = "unknown"
        elif worker not in snapshot.watching or snapshot.stale:
            state = "unknown"  # the worker may have been stopped on purpose, or it may have crashed
        if worker.spooled:
            line += " · " + words("worker_spool", n=worker.spooled)
        st.html(f'<p class="line dim">{mark(state)} {html.escape(line)}</p>')
    if not snapshot.workers:
        st.html(f'<p class="line">{mark("unknown")} {words("no_worker")}</p>')
