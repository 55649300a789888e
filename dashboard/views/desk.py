"""What every console view shares: who is at the desk, and how an order is given and answered."""

from __future__ import annotations

import html
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

import streamlit as st

from dashboard.act import Desk
from dashboard.sentences import registration_clause_of, way_said
from dashboard.words import Words, capital, plain
from monitor import clock
from monitor.core.commands import Command
from monitor.core.events import Alert
from monitor.core.model import Health, Registration
from monitor.store.views import AlertView

RULE_FACTS: Mapping[str, type[Health] | type[Registration]] = {"health": Health, "registration": Registration}


class Shift(NamedTuple):
    """One drawing of one view for one person."""

    desk: Desk
    who: str
    words: Words
    theme: str
    now: datetime


def order(shift: Shift, command: Command, why: str = "") -> None:
    """Give an order and keep its answer for the next drawing."""
    changed, error = shift.desk.do(command, shift.who, plain(why, 300))
    st.session_state["answer"] = (error, shift.words("done" if changed else "nothing_changed"))


def answer() -> None:
    """Show the answer to the last order once."""
    error, said = st.session_state.pop("answer", ("", ""))
    if error:
        st.error(capital(plain(error)), icon=":material/block:")
    elif said:
        st.toast(said)


def where(view: AlertView) -> str:
    """Return "DeepSeek API"."""
    named = (view.service_name or view.alert.service, view.component_name or view.alert.component.partition("/")[2])
    return " ".join(plain(name, 60) for name in named if name) or "Chatwatch"


def alert_line(view: AlertView, words: Words) -> str:
    """Return an alert in one line: "DeepSeek API: down"."""
    facts: dict[str, object] = {"where": where(view)}
    for key in ("why", "days_left", "count"):
        facts[key] = plain(view.alert.summary.get(key, ""), 160)
    for key, kind in RULE_FACTS.items():
        value = view.alert.summary.get(key)
        facts[key] = words.of(kind(value)).lower() if value in list(kind) else words.of(Health.UNKNOWN)
    code = plain(view.alert.summary.get("warning", ""), 60)
    facts["warning"] = words.table["warning"].get(code, code)
    facts["rule"] = plain(view.alert.rule, 40).replace("_", " ")
    rules, rule = words.table["rule"], str(view.alert.rule)
    if rule == "registration_changed" and view.alert.summary.get("registration") == Registration.OPEN:
        rule = "registration_was"  # the facts of an alert that is over are those of its end
    elif rule == "registration_changed" and (clause := sign_up(view.alert, words)):
        return f"{facts['where']}{words('colon')}{clause}"
    return str(rules.get(rule) or rules["other"]).format(**facts)


def sign_up(alert: Alert, words: Words) -> str:
    """Return "sign-up is limited to phone numbers from China (+86)"; empty if the alert names no way."""
    told = [item for item in alert.summary.get("ways", ()) if isinstance(item, Mapping)]
    ways = {way.method: way for item in told if (way := way_said(item)) is not None}
    return plain(registration_clause_of(ways, words), 200) if ways else ""


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
