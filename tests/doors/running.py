"""A real worker over loopback: its configuration, its processes and what its metrics say."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from monitor import clock

ROOT = Path(__file__).resolve().parents[2]

PROBES = """\
allow_networks: [127.0.0.0/8]
listen: {{metrics: "127.0.0.1:{metrics}"}}
policies:
  default: {{recovery_window: 2s, shortest_outage: 1s, failure_ratio: 0.45, false_pages_per_year: 1000}}
services:
  - id: sim
    name: Simulated
    components:
      - {{id: web, name: Web chat, kind: web}}
      - {{id: api, name: API, kind: api}}
    probes:
      - {{id: page, component: web, kind: http, interval: 1s, timeout: 1s, options: {{url: "{url}/"}}}}
      - id: chat
        component: api
        kind: chat
        interval: 2s
        timeout: 2s
        options: {{base_url: "{url}/v1", model: simulated, key: "${{SIM_KEY}}"}}
channels: {{hook: {{kind: webhook, url: "${{SIM_HOOK}}"}}}}
routes: [{{id: all, channels: [hook], severities: [page, ticket, info]}}]
"""
KEY = "sk-canary-4711-never-shown"


def free_port() -> int:
    """Return a port of loopback that nobody uses now."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


@dataclass
class Worker:
    """A running ``chatwatch worker``."""

    process: asyncio.subprocess.Process
    home: Path
    port: int
    database: str

    @property
    def probes(self) -> Path:
        """Its configuration file."""
        return self.home / "probes.yaml"

    @property
    def log(self) -> str:
        """What it has said so far."""
        return (self.home / "worker.log").read_text()

    def children(self) -> dict[str, int]:
        """Return prober and recorder with their process ids."""
        found = {}
        for entry in Path("/proc").iterdir():
            try:
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if parent == str(self.process.pid) and b"monitor" in words:
                found[words[words.index(b"monitor") + 1].decode()] = int(entry.name)
        return found

    async def get(self, path: str) -> tuple[int, str]:
        """GET from its HTTP side; status 0 when nobody listens."""
        return await asyncio.to_thread(_get, f"http://127.0.0.1:{self.port}{path}")

    async def metric(self, name: str) -> float | None:
        """Return the first sample whose line begins with ``name``, or None."""
        _, text = await self.get("/metrics")
        found = re.search(rf"^{re.escape(name)}\S* (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else None

    async def until(self, name: str, good: Callable[[float | None], bool], limit_s: float = 120.0) -> float | None:
        """Wait until a metric is as wanted."""
        end_s = clock.monotonic() + limit_s
        while True:
            value = await self.metric(name)
            if good(value):
                return value
            assert clock.monotonic() < end_s, f"{name} is {value} after {limit_s} s\n{self.log}"
            await asyncio.sleep(0.2)

    async def stop(self) -> int:
        """Send SIGTERM and return the exit code."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        return await self.process.wait()


def alive(pids: Iterable[int]) -> bool:
    """Say whether any of the processes still exists."""
    return any(Path(f"/proc/{pid}").exists() for pid in pids)


def leaks(folder: Path, secret: str) -> list[str]:
    """Return the files that hold a secret."""
    return [file.name for file in folder.iterdir() if file.is_file() and secret.encode() in file.read_bytes()]


def _get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


@asynccontextmanager
async def worker(
    home: Path,
    url: str,
    *,
    prefix: Sequence[str] = (),
    probes: str = PROBES,
    database: str = "",
    location: str = "",
    environ: Mapping[str, str] | None = None,
) -> AsyncIterator[Worker]:
    """Run ``chatwatch worker`` against the vendor at ``url``; ``prefix`` goes before the command."""
    port, database = free_port(), database or f"sqlite:///{home / 'test.db'}"
    (home / "probes.yaml").write_text(probes.format(url=url, metrics=port))
    around = {
        **os.environ,
        "CHATWATCH_DATABASE": database,
        "SIM_KEY": KEY,
        "SIM_HOOK": f"{url}/_inbox",
        "PYTHONPATH": str(ROOT),
        **(environ or {}),
    }
    command = [*prefix, sys.executable, "-m", "monitor", "worker", "--config", str(home / "probes.yaml")]
    command += ["--location", location] if location else []
    with (home / "worker.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log, env=around, cwd=home)
    running = Worker(process, home, port, database)
    try:
        yield running
    finally:
        await running.stop()
