"""Debian's blackbox exporter as the yardstick: started on core 0, driven over keep-alive connections from core 1.

As a program it is the driver: it asks ``/probe`` and prints what the exporter said, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import uvloop

PROGRAM = "prometheus-blackbox-exporter"
CONFIG = """
modules:
  look:
    prober: http
    timeout: 10s
    http:
      preferred_ip_protocol: ip4
      tls_config: {ca_file: CA_FILE}
"""
PHASE = re.compile(r'^probe_http_duration_seconds\{phase="(\w+)"\} (\S+)', re.MULTILINE)


def numbered(url: str, number: int | str) -> str:
    """Return the address of one probe: its number goes where ``NUMBER`` stands, else to the end."""
    return url.replace("NUMBER", str(number)) if "NUMBER" in url else f"{url}/{number}"


@contextmanager
def exporter(folder: Path, ca_file: str, before: Sequence[str] = ()) -> Iterator[tuple[int, int] | None]:
    """Start the exporter with one processor; yields its process id and port, or ``None`` when it is not installed.

    *before* goes before its command.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        yield None
        return
    config = folder / "blackbox.yml"
    config.write_text(CONFIG.replace("CA_FILE", ca_file))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [*before, "taskset", "-c", "0", program, f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}"],
        env={**os.environ, "GOMAXPROCS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(100):
            time.sleep(0.05)
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", port)) == 0:
                    break
        yield process.pid, port
    finally:
        process.terminate()
        process.wait(5)


def cpu_s(pid: int) -> float:
    """Return the processor time of all threads of *pid*."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


class Asker:
    """One keep-alive connection to the exporter."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, target: str) -> str:
        """Ask for one probe and return the metrics."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=2**20)
        reader, writer = self._streams
        path = f"/probe?module=look&target={quote(target, safe='')}"
        writer.write(f"GET {path} HTTP/1.1\r\nhost: exporter\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = re.search(rb"content-length: (\d+)", head)
        if length is not None:
            return (await reader.readexactly(int(length[1]))).decode()
        body = b""
        while size := int((await reader.readline()).strip(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
        return body.decode()

    def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()


def phases(text: str) -> dict[str, float]:
    """Return wait and total as the exporter measured them."""
    assert "\nprobe_success 1" in text, text
    told = {name: float(value) for name, value in PHASE.findall(text)}
    return {"wait": told["processing"], "dns": told["resolve"], "total": sum(told.values())}


async def saturate(port: int, url: str, concurrency: int, run_s: float, pid: int) -> dict[str, float]:
    """As the clients' own; the exporter's processor time alone counts."""
    done = 0
    over = time.monotonic() + run_s

    async def worker() -> None:
        nonlocal done
        asker = Asker(port)
        while time.monotonic() < over:
            await asker.ask(url)
            done += 1
        asker.close()

    started, used = time.monotonic(), cpu_s(pid)
    await asyncio.gather(*(worker() for _ in range(concurrency)))
    return {"cpu_ms": (cpu_s(pid) - used) / done * 1000, "rate": done / (time.monotonic() - started)}


async def spread(port: int, url: str, starts: list[float]) -> dict[str, dict[str, float]]:
    """Ask for a probe at each of *starts* (seconds from now)."""
    told: dict[str, dict[str, float]] = {}
    idle: list[Asker] = []
    started = time.monotonic()

    async def one(number: int) -> None:
        asker = idle.pop() if idle else Asker(port)
        told[str(number)] = phases(await asker.ask(numbered(url, number)))
        idle.append(asker)

    tasks = []
    for number, start_s in enumerate(starts):
        if (wait_s := started + start_s - time.monotonic()) > 0:
            await asyncio.sleep(wait_s)
        tasks.append(asyncio.create_task(one(number)))
    await asyncio.gather(*tasks)
    for asker in idle:
        asker.close()
    return told


async def main(job: dict[str, Any]) -> Any:
    """Run one job."""
    port, url = int(job["port"]), str(job["url"])
    if job["mode"] == "saturate":
        await saturate(port, url, int(job["concurrency"]), 0.3, int(job["pid"]))
        return await saturate(port, url, int(job["concurrency"]), float(job["run_s"]), int(job["pid"]))
    await spread(port, url, [0.0] * 20)
    if job["mode"] == "burst":
        return await spread(port, url, [float(turn) for turn in range(int(job["times"])) for _ in range(200)])
    count = int(float(job["rate"]) * float(job["run_s"]))
    return await spread(port, url, [number / float(job["rate"]) for number in range(count)])


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(main(json.loads(sys.argv[1])))))
