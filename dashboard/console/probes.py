"""Every probe at every location with its newest look, what is switched off and why, and what the chat probes cost."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard.console import shared
from dashboard.data import database_url
from dashboard.words import Words, capital
from monitor.core.model.observations import Result
from monitor.core.model.reasons import Reason
from monitor.store import reads
from monitor.store.reads.views import CostView
from monitor.text.messages import told

COSTS_EVERY_S = 60


def draw(session: shared.ConsoleSession) -> None:
    """Draw the probes and what they cost."""
    looks(session)
    words = session.words
    st.html(f'<h3>{words("costs")}</h3><p class="line dim">{words("costs_intro")}</p>')
    shared.table(cost_rows(_costs(database_url(), session), words), words("no_costs"))


@st.cache_data(ttl=COSTS_EVERY_S, show_spinner=False)
def _costs(url: str, _shift: shared.ConsoleSession) -> tuple[CostView, ...]:  # noqa: ARG001 - the key of what is kept
    """Read at most once a minute: two days of looks are added up."""
    return reads.costs(_shift.console.engine, _shift.now)


def cost_rows(views: Sequence[CostView], words: Words) -> list[dict[str, str]]:
    """Return the table of what was used, against its budget."""
    return [
        {
            words("day"): view.day.isoformat(),
            words("probe"): view.probe.id,
            words("location"): view.location,
            words("questions"): str(view.asks),
            words("tokens"): _of(f"{view.tokens_in + view.tokens_out}", view.probe.budget_tokens_day),
            words("money"): words("no_prices") if view.usd is None else _money(view),
            words("pace"): words("every", duration=words.duration(view.pace_s)) if view.pace_s else "–",
        }
        for view in views
    ]


def _of(used: str, budget: int | None) -> str:
    return used if budget is None else f"{used} / {budget}"


def _money(view: CostView) -> str:
    limit = view.probe.budget_usd_day
    return f"${view.usd:.4f}" + (f" / ${limit:.2f}" if limit is not None else "")


def looks(session: shared.ConsoleSession) -> None:
    """Draw the newest look of every probe."""
    words = session.words
    rows = []
    for view in reads.probes(session.console.engine):
        seen = view.result
        rows.append(
            {
                words("probe"): view.probe.id,
                words("location"): view.location,
                words("target"): view.probe.target,
                words("interval"): words.duration(view.probe.interval_s),
                words("last_look"): shared.stamp(seen.started_at) if seen else "–",
                words("status"): words.section("outcome_short", seen.outcome) if seen else "–",
                words("reason_head"): said(words, view.probe.disabled, seen),
            }
        )
    shared.table(rows, words("no_probes"))


def said(words: Words, disabled: str, seen: Result | None) -> str:
    """Return why a probe does not run, or what its newest look saw: the reason in words, and the detail."""
    if disabled:
        return words("disabled", why=told(disabled, words, 160))
    if seen is None:
        return ""
    reason = "" if seen.observation.reason is Reason.OK else capital(words.of(seen.observation.reason))
    return words("comma").join(text for text in (reason, told(seen.observation.detail, words, 160)) if text)
