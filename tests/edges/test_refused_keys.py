"""Keys that the vendor refuses although they worked: the simulated vendor as a real server, prober and recorder.

Nobody can use what is refused to everybody, so it is never green. With one key it may be ours that is bad: unknown, and
the operator is paged. A second key that is refused as well makes it the vendor's, as fast.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from monitor.config.load import load
from monitor.simulator.play import serve
from tests.edges import driven
from tests.edges.watched import Told, Watched, watching

HEAD = """\
allow_networks: [127.0.0.0/8]
channels: {{pager: {{kind: webhook, url: "${{HOOK}}"}}}}
routes: [{{id: oncall, channels: [pager]}}]
services:
  - id: deepseek
    name: DeepSeek
    components: [{{id: api, name: API, kind: api}}]
    probes:
      - {{id: edge, component: api, kind: http, interval: 60s, timeout: 5s, options: {{url: "{url}/deepseek/health"}}}}
"""
CHAT = """\
      - id: {id}
        component: api
        kind: chat
        interval: {interval}
        timeout: {timeout}
        options: {{base_url: "{url}/deepseek", model: deepseek-flash, key: "${{{key}}}"{free}}}
"""
FREE = ", models_every_s: 60s, short_every_s: 1h"
"""Every look after the first question reads the list of models with the key, which costs nothing."""
KEYS = {"HOOK": "http://127.0.0.1:1/", "ONE": "sk-test-0123456789abcdef", "TWO": "sk-test-fedcba9876543210"}
WITHIN_S = 100.0
REFUSED_FOR_S = 240.0
RECOVERS_S = 700.0
STORED_S = 1.0
"""A look is handed over, stored and judged within this."""


def refused(
    folder: Path, *, keys: int, after_s: float, interval: str = "60s", timeout: str = "30s", free: str = FREE
) -> Watched:
    """Let every question and list be refused from ``after_s`` on for some minutes, and then be answered again."""

    async def play() -> Watched:
        async with serve() as vendor:
            rows = [
                CHAT.format(
                    id=f"chat-{key.lower()}", interval=interval, timeout=timeout, url=vendor.url, key=key, free=free
                )
                for key in ("ONE", "TWO")[:keys]
            ]
            path = folder / "probes.yaml"
            path.write_text(HEAD.format(url=vendor.url) + "".join(rows))
            async with watching(load(path, KEYS), folder) as watched:
                await asyncio.sleep(after_s)
                vendor.set("deepseek", chat="auth", models="auth")
                await asyncio.sleep(max(REFUSED_FOR_S, 2 * watched.longest_s))
                vendor.set("deepseek", chat="none", models="none")
                await asyncio.sleep(2 * watched.longest_s + RECOVERS_S)
                watched.close_book()
        return watched

    return driven.run_by_the_wall(play())


def first_page_s(watched: Watched, rule: str) -> float:
    """Return after how many seconds the operator was paged about something."""
    return next(
        at_s
        for at_s, told in zip(watched.told_s, watched.told, strict=True)
        if (told.why, told.severity, told.rule) == ("first", "page", rule)
    )


@pytest.mark.parametrize(("after_s", "timeout"), [(181.0, "60s"), (197.0, "30s"), (213.0, "10s"), (231.0, "60s")])
def test_with_one_key_and_a_free_look_a_minute_the_operator_is_paged_within_100_s(
    after_s: float, timeout: str, tmp_path: Path
) -> None:
    watched = refused(tmp_path, keys=1, after_s=after_s, timeout=timeout)
    assert first_page_s(watched, "account") - after_s <= WITHIN_S
    shown = watched.between(after_s + WITHIN_S, after_s + REFUSED_FOR_S)
    assert {health["deepseek/api"] for health in shown} == {"unknown"}
    assert watched.incidents == ()
    assert watched.told == [
        Told("first", "page", "account", "deepseek/api"),
        Told("resolved", "page", "account", "deepseek/api"),
    ]
    assert watched.healths[-1][1] == {"deepseek/api": "operational"}


@pytest.mark.parametrize("after_s", [181.0, 213.0])
def test_with_a_second_key_it_is_red_as_fast(after_s: float, tmp_path: Path) -> None:
    watched = refused(tmp_path, keys=2, after_s=after_s)
    assert first_page_s(watched, "component_down") - after_s <= WITHIN_S
    shown = watched.between(after_s + WITHIN_S, after_s + REFUSED_FOR_S)
    assert {health["deepseek/api"] for health in shown} == {"major_outage"}
    (incident,) = watched.incidents
    assert incident.resolved_at is not None
    assert abs(incident.started_at - (driven.WALL + timedelta(seconds=after_s))) < timedelta(seconds=60)
    assert watched.healths[-1][1] == {"deepseek/api": "operational"}


def test_without_a_free_look_it_is_found_after_the_next_question(tmp_path: Path) -> None:
    after_s = 620.0
    watched = refused(tmp_path, keys=1, after_s=after_s, interval="300s", free="")
    question = next(
        one for one in watched.results if one.run.probe == "deepseek-chat-one" and one.reason.scope == "account"
    )
    began_s = (question.started_at - driven.WALL).total_seconds()
    assert after_s <= began_s <= after_s + 300
    assert first_page_s(watched, "account") - began_s <= 45 + STORED_S
    assert {health["deepseek/api"] for health in watched.between(began_s + 46, after_s + 600)} == {"unknown"}
