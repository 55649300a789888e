"""A real Prometheus scrapes a real worker: discovery, both endpoints, and a series that ends with its probe."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from monitor import clock
from monitor.simulator.play import serve
from tests.doors.running import Worker, free_port, worker

pytestmark = [pytest.mark.slow, pytest.mark.prometheus]

CONFIG = """\
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: chatwatch
    honor_labels: true
    static_configs: [{{targets: ["127.0.0.1:{worker}"]}}]
  - job_name: blackbox
    http_sd_configs: [{{url: "http://127.0.0.1:{worker}/sd", refresh_interval: 2s}}]
"""


@asynccontextmanager
async def prometheus(home: Path, running: Worker) -> AsyncIterator[str]:
    """Run Prometheus against the worker and yield its address."""
    program = shutil.which("prometheus")
    assert program is not None
    port = free_port()
    (home / "prom.yml").write_text(CONFIG.format(worker=running.port))
    process = await asyncio.create_subprocess_exec(
        program,
        f"--config.file={home / 'prom.yml'}",
        f"--web.listen-address=127.0.0.1:{port}",
        f"--storage.tsdb.path={home / 'prom'}",
        "--log.level=error",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


def _query(address: str, expression: str) -> list[dict[str, Any]]:
    try:
        with urllib.request.urlopen(
            f"{address}/api/v1/query?query={urllib.parse.quote(expression)}", timeout=60
        ) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
            return found
    except OSError:
        return []


async def until(address: str, expression: str, good: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    """Ask again and again until the answer is as wanted."""
    end_s = clock.monotonic() + 120
    while True:
        found = await asyncio.to_thread(_query, address, expression)
        if good(found):
            return found
        assert clock.monotonic() < end_s, f"{expression}: {found}"
        await asyncio.sleep(0.5)


def test_a_real_prometheus_finds_scrapes_and_forgets_our_probes(tmp_path: Path) -> None:
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is missing: on Debian run apt-get install prometheus")

    async def play() -> None:
        async with serve() as vendor, worker(tmp_path, vendor.url) as running:
            await running.until('probe_success{component="sim/web"', lambda value: value == 1.0)
            async with prometheus(tmp_path, running) as address:
                page = 'probe_success{instance="sim-page"}'
                found = await until(address, page, lambda found: len(found) == 2)
                assert {item["metric"]["job"] for item in found} == {"chatwatch", "blackbox"}
                assert {item["value"][1] for item in found} == {"1"}
                await until(address, "up", lambda found: [item["value"][1] for item in found] == ["1"] * 3)
                await until(address, 'sum by (instance) (probe_http_duration_seconds{job="chatwatch"})', bool)
                running.probes.write_text(running.probes.read_text().replace("id: page", "id: front"))
                running.process.send_signal(signal.SIGHUP)
                await until(address, 'probe_success{instance="sim-front"}', lambda found: len(found) == 2)
                await until(address, page, lambda found: not found)

    asyncio.run(play())
