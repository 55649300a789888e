"""A target that is not ours: LiteLLM's proxy with a mocked answer, watched by a real worker."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from monitor import clock
from monitor.config.load import load
from monitor.core.components.guarantee import guarantee
from monitor.core.model.reasons import Outcome, Reason
from monitor.core.model.states import Health
from monitor.store import reads
from monitor.store.connection.engine import open_engine
from monitor.store.reads.views import ComponentView, Latency

ROOT = Path(__file__).parent.parent.parent
PROXY = ROOT / ".venv-litellm" / "bin" / "litellm"
INTERVAL_S = 5
T = TypeVar("T")

pytestmark = [pytest.mark.slow, pytest.mark.litellm]

MODELS = """
model_list:
  - model_name: mock
    litellm_params:
      {model: openai/mock, api_key: none, api_base: "http://127.0.0.1:9/", mock_response: "Hello from afar."}
"""

PROBES = """
allow_networks: [127.0.0.0/8]
listen: {{metrics: "127.0.0.1:{metrics}"}}
policies:
  default: {{recovery_window: 10s, shortest_outage: 10s}}
services:
  - id: litellm
    name: LiteLLM
    components: [{{id: api, name: API, kind: api}}]
    probes:
      - id: api-chat
        component: api
        kind: chat
        interval: {interval}s
        timeout: 2s
        options: {{base_url: "http://127.0.0.1:{port}/v1", model: mock, key: "${{PROXY_KEY}}", canary: false}}
"""


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def wait_for(what: str, seconds: float, look: Callable[[], T | None]) -> T:
    end = clock.monotonic() + seconds
    while clock.monotonic() < end:
        if (found := look()) is not None:
            return found
        time.sleep(0.2)
    raise AssertionError(f"{what}: not within {seconds:g} s")


def answers(url: str) -> bool | None:
    try:
        with urllib.request.urlopen(url, timeout=60):
            return True
    except (urllib.error.URLError, OSError):
        return None


@contextmanager
def running(arguments: list[str], log: Path, environ: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            arguments, cwd=log.parent, env={**os.environ, **environ}, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(60)


@contextmanager
def proxy(home: Path, port: int, key: str) -> Iterator[subprocess.Popen[bytes]]:
    (home / "models.yaml").write_text(MODELS)
    arguments = [str(PROXY), "--config", str(home / "models.yaml"), "--host", "127.0.0.1", "--port", str(port)]
    environ = {"LITELLM_MASTER_KEY": key, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"}
    with running(arguments, home / "proxy.log", environ) as process:
        wait_for("LiteLLM's proxy answers", 240, lambda: answers(f"http://127.0.0.1:{port}/health/liveliness"))
        yield process


def test_a_foreign_chat_server_is_seen_well_then_down_for_the_right_reason_then_well_again(tmp_path: Path) -> None:
    if not PROXY.exists():
        pytest.skip("LiteLLM's proxy is not installed; make litellm installs it beside the project")
    key = f"sk-{secrets.token_hex(16)}"
    port, metrics = free_port(), free_port()
    database = f"sqlite:///{tmp_path / 'watch.db'}"
    (tmp_path / "probes.yaml").write_text(PROBES.format(port=port, metrics=metrics, interval=INTERVAL_S))
    worker = [sys.executable, "-m", "monitor", "worker", "--config", str(tmp_path / "probes.yaml")]

    with ExitStack() as programs:
        target = programs.enter_context(proxy(tmp_path, port, key))
        environ = {"CHATWATCH_DATABASE": database, "PROXY_KEY": key}
        watching = programs.enter_context(running(worker, tmp_path / "worker.log", environ))

        def api(health: Health) -> ComponentView | None:
            assert watching.poll() is None, (tmp_path / "worker.log").read_text()
            for service in reads.snapshot(engine, clock.now(), public=True).services:
                for component in service.components:
                    if component.health is health:
                        return component
            return None

        def measured() -> Latency | None:
            component = api(Health.OPERATIONAL)
            return component.latency if component else None

        wait_for("the worker is ready", 120, lambda: answers(f"http://127.0.0.1:{metrics}/-/ready"))
        engine = open_engine(database, read_only=True)
        programs.callback(engine.dispose)
        latency = wait_for("the probe is green, with a latency", 150, measured)
        assert latency.what == "ttft"
        assert latency.p50_s is not None
        seen = [result.observation.chat for result in reads.results(engine) if result.outcome is Outcome.OK]
        times_s = [chat.ttft_s for chat in seen if chat is not None and chat.ttft_s is not None]
        # What is shown is that of the looks, to the 1 % of the sketch and to the rounding of what is stored.
        assert min(times_s) * 0.95 <= latency.p50_s <= max(times_s) * 1.05
        killed_at = clock.now()
        target.kill()
        target.wait(60)
        bad = wait_for("the probe is red", 36 * INTERVAL_S, lambda: api(Health.MAJOR))
        since = [result for result in reads.results(engine) if result.started_at >= killed_at]
        failed = {result.run.tick for result in since if result.outcome is Outcome.FAILED}
        (probe,) = load(tmp_path / "probes.yaml", environ).catalogue.probes
        assert len(failed) <= guarantee(probe).noticed_if_longer_s / INTERVAL_S, "confirmed within what is promised"
        assert bad.reason is Reason.CONNECT
        programs.enter_context(proxy(tmp_path, port, key))
        wait_for("the probe is green again", 36 * INTERVAL_S, lambda: api(Health.OPERATIONAL))
        wait_for(
            "the incident is resolved",
            36 * INTERVAL_S,
            lambda: reads.snapshot(engine, clock.now(), public=True).past_incidents or None,
        )
        snapshot = reads.snapshot(engine, clock.now(), public=True)
    assert len(snapshot.past_incidents) == 1
    assert snapshot.open_incidents == ()
    assert key not in (tmp_path / "worker.log").read_text()
    assert key.encode() not in (tmp_path / "watch.db").read_bytes()
