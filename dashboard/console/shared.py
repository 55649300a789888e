"""What every console view shares: who is signed in, and how an order is given and answered."""

from __future__ import annotations

import html
from datetime import datetime
from typing import NamedTuple

import streamlit as st

from dashboard.console.act import Console
from dashboard.words import Words, capital
from monitor import clock
from monitor.core.commands import Command
from monitor.core.model.alerting import AlertState
from monitor.store.reads.views import AlertView
from monitor.text import alerts as text
from monitor.text.cleaner import plain


class ConsoleSession(NamedTuple):
    """What one drawing of a page for one signed-in person needs."""

    console: Console
    token: str
    """Whose page it is: an act is held against it again, in its own transaction."""
    looks_only: bool
    """True for a role that may not act; its buttons are grey."""
    words: Words
    theme: str
    now: datetime


def order(session: ConsoleSession, command: Command, why: str = "") -> None:
    """Give an order and keep its answer for the next drawing."""
    changed, error = session.console.do(command, session.token, plain(why, 300))
    st.session_state["answer"] = (error, session.words("done" if changed else "nothing_changed"))


def answer() -> None:
    """Show the answer to the last order once."""
    error, said = st.session_state.pop("answer", ("", ""))
    if error:
        st.error(capital(plain(error)), icon=":material/block:")
    elif said:
        st.toast(said)


def where(view: AlertView, words: Words) -> str:
    """Return "DeepSeek API", the component by its name in the reader's language."""
    component = view.component_names.get(words.language) or view.component_name
    named = (view.service_name or view.alert.service, component or view.alert.component.partition("/")[2])
    return " ".join(plain(name, 60) for name in named if name) or "Chatwatch"


def alert_line(view: AlertView, words: Words) -> str:
    """Return an alert in one line, as a pager says it: "DeepSeek API is down"."""
    resolved = view.alert.state is AlertState.RESOLVED
    return plain(text.alert_line(view.alert, where(view, words), resolved, words, short))


def short(said: str) -> str:
    """Return a text from outside as a harmless piece of a line."""
    return plain(said, 160)


def since(words: Words, start: datetime, now: datetime | None = None) -> str:
    """Return "14:02 (12 min)"."""
    length = ((now or clock.now()) - start).total_seconds()
    return f"{words.moment(start, 'long')} ({words.duration(length)})"


def stamp(when: datetime | None) -> str:
    """Return a moment for a table."""
    return when.strftime("%Y-%m-%d %H:%M:%S") if when else ""


def table(rows: list[dict[str, str]], empty: str) -> None:
    """Draw a small table whose cells are text and nothing else."""
    if not rows:
        st.html(f'<p class="dim">{empty}</p>')
        return
    head = "".join(f"<th>{html.escape(name)}</th>" for name in rows[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(plain(value, 300))}</td>" for value in row.values()) + "</tr>"
        for row in rows
    )
    st.html(f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>')
