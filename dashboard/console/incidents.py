"""Incidents for the person on call: the whole timeline, and the words and switches that the public sees."""

from __future__ import annotations

import streamlit as st

from dashboard.console import shared
from dashboard.scene import block, in_zone
from dashboard.sentences import names_of
from dashboard.titles import incident_title
from dashboard.words import capital
from monitor.core.commands import HideIncident, PostUpdate, PublishIncident, ResolveIncident, WritePostmortem
from monitor.core.model.states import Impact, IncidentStatus
from monitor.store import reads
from monitor.store.reads.views import IncidentView, Snapshot
from monitor.text.cleaner import plain

SETTABLE = (IncidentStatus.INVESTIGATING, IncidentStatus.IDENTIFIED, IncidentStatus.MONITORING)


def draw(session: shared.ConsoleSession) -> None:
    """Draw the choice, the timeline and the forms."""
    words = session.words
    snapshot = reads.snapshot(session.console.engine, session.now, public=False)
    known = {item.id: item for item in (*snapshot.open_incidents, *snapshot.past_incidents)}
    if not known:
        st.html(f'<p class="empty">{words("no_incidents")}</p>')
        return
    names = names_of(snapshot, words)
    chosen = st.selectbox(
        words("choose_incident"),
        list(known),
        format_func=lambda key: label(session, known[key], names),
        key="incident",
        bind="query-params",
    )
    item = known.get(str(chosen)) or next(iter(known.values()))
    left, right = st.columns([1.7, 1], gap="medium")
    with left:
        timeline(session, item, snapshot)
    with right:
        switches(session, item)
        update_form(session, item)
        end_form(session, item)


def label(session: shared.ConsoleSession, item: IncidentView, names: dict[str, str]) -> str:
    """Return an incident in one line."""
    words = session.words
    public = "" if item.public else f" · {words('is_hidden')}"
    title = incident_title(item, words, names)
    return f"{words.of(item.status)} · {title} · {words.moment(item.started_at)}{public}"


def timeline(session: shared.ConsoleSession, item: IncidentView, snapshot: Snapshot) -> None:
    """Draw the incident as the public sees it, hidden entries included."""
    drawn = block("incident.html", snapshot, session.words.language, session.theme, incident=item, home="", inside=True)
    st.html(in_zone(drawn, session.words))


def switches(session: shared.ConsoleSession, item: IncidentView) -> None:
    """Draw the switch between public and hidden; each undoes the other."""
    words = session.words
    with st.container(horizontal=True, vertical_alignment="center"):
        st.html(f'<p class="line">{capital(words("is_public" if item.public else "is_hidden"))}</p>')
        order = HideIncident(item.id) if item.public else PublishIncident(item.id)
        name = words("hide" if item.public else "publish")
        st.button(name, key="publish", disabled=session.looks_only, on_click=shared.order, args=(session, order))


def update_form(session: shared.ConsoleSession, item: IncidentView) -> None:
    """Draw the form for a person's words; status and impact stay unless chosen."""
    words = session.words
    with st.form("update", clear_on_submit=True):
        text = st.text_area(words("update_text"), height=120, max_chars=2000, key="text")
        left, right = st.columns(2)
        status = left.selectbox(
            words("new_status"), [None, *SETTABLE], format_func=lambda key: words.of(key) if key else words("keep")
        )
        impact = right.selectbox(
            words("new_impact"), [None, *Impact], format_func=lambda key: words.of(key) if key else words("keep")
        )
        title = st.text_input(words("new_title"), max_chars=140, placeholder=words("keep"))
        if (
            st.form_submit_button(words("post_update"), type="primary", width="stretch", disabled=session.looks_only)
            and text.strip()
        ):
            if item.resolved_at is None:
                command = PostUpdate(item.id, text.strip(), status, impact, title.strip())
                shared.order(session, command)
            else:
                shared.order(session, WritePostmortem(item.id, text.strip()))
            st.rerun()


def end_form(session: shared.ConsoleSession, item: IncidentView) -> None:
    """Draw the way to end an incident by a person's word: its service's name must be typed."""
    words = session.words
    if item.resolved_at is not None:
        return
    name = plain(item.service_name, 60)
    with st.form("end", clear_on_submit=True):
        typed = st.text_input(words("type_name", name=name), key="typed")
        text = st.text_input(words("why_label"), key="end-why", max_chars=300)
        if st.form_submit_button(words("resolve_incident"), width="stretch", disabled=session.looks_only):
            if typed.strip().casefold() == name.casefold():
                shared.order(session, ResolveIncident(item.id), text)
            else:
                st.session_state["answer"] = (words("name_differs"), "")
            st.rerun()
