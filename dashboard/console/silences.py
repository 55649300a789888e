"""Silences: what is held back, by whom and until when; adding one needs a reason."""

from __future__ import annotations

import html
from datetime import timedelta

import streamlit as st

from dashboard.console import shared
from monitor.core.commands import Silence, Unsilence
from monitor.store import reads
from monitor.store.reads.views import SilenceView
from monitor.text import alerts as text
from monitor.text.cleaner import plain


def draw(session: shared.ConsoleSession) -> None:
    """Draw the silences in force and the form for a new one."""
    words = session.words
    held = reads.silences(session.console.engine, session.now)
    for silence in held:
        left, right = st.columns([6, 1.4], vertical_alignment="center")
        left.html(f'<p class="line">{html.escape(line(session, silence))}</p>')
        right.button(
            words("end_silence"),
            key=f"end-{silence.id}",
            disabled=session.looks_only,
            on_click=shared.order,
            args=(session, Unsilence(silence.id)),
            width="stretch",
        )
    if not held:
        st.html(f'<p class="empty">{words("no_silences")}</p>')
    form(session)


def line(session: shared.ConsoleSession, silence: SilenceView) -> str:
    """Return a silence in one line."""
    words = session.words
    what = silence.component or silence.service or text.rule_label(silence.rule, words) or words("silence_everything")
    said = words("silence_line", what=plain(what, 80), time=words.moment(silence.ends_at), name=plain(silence.by, 40))
    return f"{said} · {plain(silence.why, 200)}" if silence.why else said


def form(session: shared.ConsoleSession) -> None:
    """Draw the form. Silencing everything needs a second yes."""
    words = session.words
    services = reads.catalogue(session.console.engine).services
    names = {"": words("silence_everything")} | {service.id: service.name for service in services}
    with st.form("silence"):
        st.html(f"<h3>{words('add_silence')}</h3>")
        left, right = st.columns(2)
        service = left.selectbox(words("silence_service"), [*list(names)[1:], ""], format_func=lambda key: names[key])
        hours = right.number_input(words("silence_until"), min_value=0.25, max_value=24.0 * 14, value=1.0, step=0.25)
        why = st.text_input(words("why_label"), max_chars=300)
        sure = st.checkbox(words("silence_everything_sure"), value=False)
        if st.form_submit_button(words("add_silence"), type="primary", disabled=session.looks_only):
            until = session.now + timedelta(hours=float(hours))
            shared.order(session, Silence(until, service=str(service or ""), everything=sure and not service), why)
            st.rerun()
