"""Prometheus' Alertmanager, through its API v2: it repeats, groups and routes on its own."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Annotated

from pydantic import SecretStr, StringConstraints

from monitor.channels.base import Kind, Notice, Options, post, secret
from monitor.channels.words import facts, title
from monitor.clock import now
from monitor.text.cleaner import plain
from monitor.wire import Wire

LIVES_FOR = timedelta(hours=4)
"""An alert that is not resolved ends by itself after this; our repetitions come sooner."""


class Alertmanager(Options):
    """``url`` is the server's own address, as ``http://127.0.0.1:9093``."""

    url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s]+$")]
    token: SecretStr | None = None


def body(notice: Notice) -> list[dict[str, object]]:
    """Return the one alert. Labels are ids and closed words only; annotations are cleaned text."""
    alert = notice.alert
    labels = {
        "alertname": f"Chatwatch_{alert.rule}",
        "service": alert.service,
        "component": alert.component,
        "severity": str(alert.severity),
        "incident": alert.incident,
        "chatwatch_key": alert.key,
    }
    ends = alert.resolved_at if notice.resolved and alert.resolved_at else notice.at + LIVES_FOR
    row: dict[str, object] = {
        "labels": {name: value for name, value in labels.items() if value},
        "annotations": {
            "summary": title(notice),
            "description": plain("; ".join(f"{name}: {value}" for name, value in facts(notice)), 900),
        },
        "startsAt": alert.started_at.isoformat(),
        "endsAt": max(ends, alert.started_at).isoformat(),
    }
    if notice.url:
        row["generatorURL"] = notice.url
    return [row]


async def send(options: Alertmanager, notice: Notice, wire: Wire) -> None:
    """Deliver."""
    headers = {"authorization": f"Bearer {secret(options.token)}"} if options.token else None
    url = f"{options.url.rstrip('/')}/api/v2/alerts"
    await post(wire, url, json.dumps(body(notice)).encode(), headers, now())


KIND = Kind("alertmanager", Alertmanager, send)
