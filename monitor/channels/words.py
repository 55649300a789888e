"""A notice as plain words: a title, and facts as (name, value) pairs. Every channel dresses the same words."""

from __future__ import annotations

from datetime import timedelta

from monitor.channels.base import Notice, plain
from monitor.channels.signup import sign_up
from monitor.core.events import Alert
from monitor.core.model import Health, Severity, Why
from monitor.core.told import DIGEST

_RULES = {
    "component_down": "is down",
    "component_degraded": "is degraded",
    "burn_rate": "burns its error budget",
    "certificate": "certificate runs out",
    "account": "cannot be judged: our account",
    "configuration": "cannot be judged: our set-up",
    "warning": "needs a look at its set-up",
    "blind": "cannot be seen: our network",
    "overdue": "has no fresh results",
    "latency_unusual": "is unusually slow for this hour of the week",
}
_WHY = {
    Why.ESCALATED: "Nobody has acknowledged it yet.",
    Why.WORSE: "It got worse.",
    Why.REPEAT: "It is still going on and nobody has acknowledged it.",
    Why.SILENCE_OVER: "The silence over it has ended, and it is still going on.",
}


def title(notice: Notice) -> str:
    """Return one line that says what and where."""
    alert = notice.alert
    where = " ".join(
        part for part in (notice.service_name or alert.service, notice.component_name or alert.component) if part
    )
    what = _trouble(alert, notice.resolved)
    if alert.rule == DIGEST:
        where, what = _digest(alert, notice.resolved), ""
    head = "Test" if notice.test else "Resolved" if notice.resolved else str(alert.severity).capitalize()
    return plain(f"{head}: {where or 'Chatwatch'} {what}", 200)


def _digest(alert: Alert, resolved: bool) -> str:
    """Say how many alerts were told of together."""
    if resolved:
        return "the last of the alerts that were told of together"
    count, services = alert.summary.get("count", 0), alert.summary.get("services", 0)
    return f"{count} more alerts" + (f" of {services} services" if services and services != 1 else "") + " at once"


def _trouble(alert: Alert, resolved: bool) -> str:
    """Say what is wrong; an outage keeps its word to the end, so that its last notice reads like its first."""
    slow = alert.severity is not Severity.PAGE and alert.summary.get("health") == Health.DEGRADED
    if alert.rule == "component_down" and slow:
        return "is slow or unstable"
    if alert.rule == "registration_changed":
        return sign_up(alert, resolved)
    return _RULES.get(alert.rule, alert.rule.replace("_", " "))


def facts(notice: Notice) -> list[tuple[str, str]]:
    """Return what is known, in the order in which a person wants it."""
    alert = notice.alert
    rows = [("Since", f"{alert.started_at:%Y-%m-%d %H:%M:%S} UTC")]
    if alert.resolved_at:
        rows.append(("Until", f"{alert.resolved_at:%Y-%m-%d %H:%M:%S} UTC"))
        rows.append(("Lasted", duration(alert.resolved_at - alert.started_at)))
    if alert.rule == DIGEST:
        return [*rows, *_among(notice)]
    if alert.rule == "registration_changed":
        rows.append(("Sign-up", capital(sign_up(alert, notice.resolved).removeprefix("sign-up "))))
    for key, value in alert.summary.items():
        if isinstance(value, str | int | float) and value != "":
            rows.append((plain(key, 40).replace("_", " ").capitalize(), plain(value)))
    if notice.why in _WHY:
        rows.append(("Why now", _WHY[notice.why]))
    if notice.tries:
        rows.append(("Late", f"decided at {notice.at:%H:%M:%S} UTC; {notice.tries} earlier tries did not get through"))
    if notice.url:
        rows.append(("Read on", notice.url))
    return rows


def _among(notice: Notice) -> list[tuple[str, str]]:
    """Return what a digest stands for: how many, of which rules, and the first of them by name."""
    summary = notice.alert.summary
    names = [plain(name, 80) for name in summary.get("names", ())]
    count = int(summary.get("count", 0))
    counted = summary.get("rules", {}).items()
    rules = ", ".join(f"{number} × {plain(rule, 40).replace('_', ' ')}" for rule, number in counted)
    left = f" and {count - len(names)} more" if count > len(names) else ""
    told = [("Alerts", str(count)), ("Rules", rules), ("Among them", ", ".join(names) + left)]
    told.append(("All of them", notice.url or "in the console's inbox, or: chatwatch alert list"))
    return [row for row in told if row[1]]


def capital(text: str) -> str:
    """Return the text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def duration(span: timedelta) -> str:
    """Return a time span for people: ``2 h 5 min``, ``40 s``."""
    total = max(0, int(span.total_seconds()))
    days, hours, minutes = total // 86400, total // 3600 % 24, total // 60 % 60
    parts = [f"{days} d"] * bool(days) + [f"{hours} h"] * bool(hours) + [f"{minutes} min"] * bool(minutes)
    return " ".join(parts[:2]) or f"{total} s"
