"""Alertmanager's webhook: its alerts reach the same review, nobody is told twice, and odd messages are refused."""

from __future__ import annotations

import asyncio
import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from monitor import clock, flow
from monitor.core.evaluation import MOST_FOREIGN
from monitor.core.model.alerting import AlertState, Severity, Why
from monitor.simulator.play import serve
from monitor.store import reads
from monitor.store.connection.engine import open_engine
from monitor.store.upgrade import migrate
from tests.doors.running import free_port, worker
from tests.edges.flowing import T0, publish

TOKEN = "webhook-token-for-tests"


def alert(name: str = "HighLatency", status: str = "firing", number: int = 1, **labels: str) -> dict[str, Any]:
    """Return one alert as Alertmanager 0.25 writes it."""
    return {
        "status": status,
        "labels": {"alertname": name, "severity": "critical", **labels},
        "annotations": {"summary": "p99 is over 5 s"},
        "startsAt": "2026-01-05T07:59:00.123456789Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example/graph",
        "fingerprint": f"{number:016x}",
    }


def message(*alerts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"version": "4", "groupKey": "{}", "status": "firing", "receiver": "chatwatch", "alerts": [*alerts], **more}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    found = open_engine(f"sqlite:///{tmp_path}/chatwatch.db")
    migrate(found)
    publish(found)
    yield found
    found.dispose()


def test_an_alert_of_alertmanager_is_ours_to_review_and_told_to_nobody(engine: Engine) -> None:
    sent = message(alert(component="deepseek/api"))
    assert flow.take_in(engine, sent, T0) == (1, 0)
    flow.take_in(engine, sent, T0 + timedelta(minutes=5))
    flow.sweep(engine, T0 + timedelta(minutes=6))
    (view,) = reads.alerts(engine)
    assert (view.alert.rule, view.alert.component) == ("alertmanager:HighLatency", "deepseek/api")
    assert view.alert.severity is Severity.PAGE
    assert view.alert.started_at < view.alert.fired_at == T0
    assert [(decision.send, decision.why) for decision in view.decisions] == [(False, Why.NO_ROUTE)]
    assert not view.notices
    flow.take_in(engine, message(alert(status="resolved", component="deepseek/api")), T0 + timedelta(minutes=9))
    (view,) = reads.alerts(engine)
    assert view.alert.state is AlertState.RESOLVED


def test_text_from_outside_is_no_rule_name_and_names_no_component_that_we_do_not_have(engine: Engine) -> None:
    flow.take_in(engine, message(alert("CPU <b>high</b>\n", component="no/such", service="openai")), T0)
    (view,) = reads.alerts(engine)
    assert view.alert.rule == "alertmanager:CPU-b-high-b"
    assert (view.alert.service, view.alert.component) == ("openai", "")


def test_distinct_alerts_from_outside_are_bounded(engine: Engine) -> None:
    taken = 0
    for start in range(0, 800, 200):
        taken += flow.take_in(engine, message(*(alert(number=start + n) for n in range(200))), T0).taken
    assert taken == MOST_FOREIGN
    assert flow.take_in(engine, message(alert(number=3)), T0) == (1, 0)
    assert flow.take_in(engine, message(alert(number=799)), T0) == (0, 1)


BAD: list[object] = [
    5,
    {"version": "3", "alerts": []},
    message() | {"alerts": {}},
    message() | {"alerts": [5]},
    message(alert() | {"labels": {"alertname": 5}}),
    message(alert() | {"labels": None}),
    message(alert() | {"annotations": ["x"]}),
    message(alert() | {"status": "odd"}),
    message(alert() | {"status": {}}),
    message(alert() | {"fingerprint": "../../etc"}),
    message(alert() | {"startsAt": "yesterday"}),
    message(alert() | {"startsAt": 5}),
    message(alert("<>")),
    message(*(alert(number=n) for n in range(201))),
]


@pytest.mark.parametrize("document", BAD, ids=range(len(BAD)))
def test_what_is_no_message_of_alertmanager_is_refused_in_one_line(engine: Engine, document: object) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        flow.take_in(engine, document, T0)
    assert not reads.alerts(engine)


def post(port: int, body: bytes, token: str = TOKEN) -> tuple[int, str]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v2/alerts/webhook", body, {"Authorization": f"Bearer {token}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


ROUTES = """\
route: {{receiver: chatwatch, group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}
receivers:
  - name: chatwatch
    webhook_configs:
      - url: http://127.0.0.1:{port}/api/v2/alerts/webhook
        http_config: {{authorization: {{type: Bearer, credentials: {token}}}}}
"""


@pytest.mark.slow
@pytest.mark.prometheus
def test_a_real_alertmanager_hands_its_alerts_to_a_real_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if program is None:
        pytest.skip("alertmanager is missing: on Debian run apt-get install prometheus-alertmanager")
    monkeypatch.setenv("CHATWATCH_WEBHOOK_TOKEN", TOKEN)

    async def play() -> None:
        async with serve() as vendor, worker(tmp_path, vendor.url) as running:
            await running.until("chatwatch_stored_timestamp_seconds", bool)
            for body, token, status in (
                (b"{}", "wrong", 401),
                (b"{}", "", 401),
                (b"{", TOKEN, 400),
                (b"{}", TOKEN, 400),
                (b"[" * 100_000, TOKEN, 400),
                (b" " * (600 * 1024), TOKEN, 413),
            ):
                found, text = await asyncio.to_thread(post, running.port, body, token)
                assert (found, text.count("\n")) == (status, 1), text
            port = free_port()
            (tmp_path / "am.yml").write_text(ROUTES.format(port=running.port, token=TOKEN))
            process = await asyncio.create_subprocess_exec(
                str(program),
                f"--config.file={tmp_path / 'am.yml'}",
                f"--storage.path={tmp_path / 'am'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--cluster.listen-address=",
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
            try:
                await asyncio.to_thread(fire, port)
                await arrived(running.database)
            finally:
                process.terminate()
                await process.wait()

    asyncio.run(play())


def fire(port: int) -> None:
    """Give Alertmanager an alert as Prometheus does, as soon as it listens."""
    labels = {"alertname": "DiskFull", "severity": "ticket", "service": "sim"}
    body = json.dumps([{"labels": labels, "annotations": {"summary": "full"}}]).encode()
    end_s = clock.monotonic() + 120
    while True:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/v2/alerts", body, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=60):
                return
        except OSError:
            assert clock.monotonic() < end_s
            asyncio.run(asyncio.sleep(0.2))


async def arrived(database: str) -> None:
    engine = open_engine(database, read_only=True)
    try:
        end_s = clock.monotonic() + 120
        while not (found := [v for v in reads.alerts(engine) if v.alert.rule == "alertmanager:DiskFull"]):
            assert clock.monotonic() < end_s
            await asyncio.sleep(0.2)
    finally:
        engine.dispose()
    (view,) = found
    assert (view.alert.service, view.alert.severity, view.notices) == ("sim", Severity.TICKET, ())
    assert view.alert.summary["summary"] == "full"
