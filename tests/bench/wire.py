"""Cost and truth of the wire, beside plain httpx and Debian's blackbox exporter in one run.

Clients and the exporter run on core 0, the server (and the exporter's driver) on core 1. CPU is processor time of the
client process alone. Error is what the client measured minus what the server knows; a few hundredths of a millisecond
of it are the loopback's. ``h2`` is HTTPS in HTTP/2. ``wait`` is request sent → first byte; ``total`` is all that the
client reports as the look's duration: for the wire and the exporter the sum of their phases (the wire tells its own
overhead apart), for httpx the time of the call.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.wire_exporter import exporter
from tests.bench.wire_names import name_server
from tests.bench.wire_names import truth as named_truth
from tests.edges.hostile_tls import Authority

ROOT = Path(__file__).parents[2]
DELAY_MS = 50
BLOCKED = "500/s, loop blocked 20 ms in 220"
HTTPS_CLAIM, HTTP_CLAIM, WAIT_CLAIM_MS = 0.9, 0.3, 0.5


class Bench:
    """The server's addresses, the exporter's process, and how to run one job."""

    before: Sequence[str] = ()
    """What goes before a client's command."""

    def __init__(self, ports: list[int], ca_file: str, yardstick: tuple[int, int] | None) -> None:
        self.ports = dict(zip(("http", "https", "h2"), ports, strict=True))
        names = {"http": "http", "https": "https", "h2": "https"}
        self.urls = {scheme: f"{name}://127.0.0.1:{self.ports[scheme]}" for scheme, name in names.items()}
        self.ca_file = ca_file
        self.yardstick = yardstick
        self.engines = ["wire", "httpx"] + (["blackbox"] if yardstick else [])

    def run(self, engine: str, scheme: str, path: str, **job: Any) -> Any:
        """Run one job in a process of its own, pinned."""
        job = {"url": self.urls[scheme] + path} | job
        job |= {"ca_file": self.ca_file, "engine": engine.partition(" ")[0], "http2": scheme == "h2"}
        if engine == "wire (asyncio)":
            job["uvloop"] = False
        module, core = "tests.bench.wire_client", "0"
        if engine == "blackbox":
            assert self.yardstick is not None
            job |= {"pid": self.yardstick[0], "port": self.yardstick[1]}
            module, core = "tests.bench.wire_exporter", "1"
        command = [*self.before, "taskset", "-c", core, sys.executable, "-m", module, json.dumps(job)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return json.loads(done.stdout)

    def truth(self) -> dict[str, dict[str, float]]:
        """Return what the server knows of the last run, and let it forget."""
        with urllib.request.urlopen(self.urls["http"] + "/truth", timeout=10) as answer:
            return dict(json.load(answer))


@contextmanager
def bench() -> Iterator[Bench]:
    """Start the server and the exporter."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        authority = Authority(folder)
        pem = authority.server_file()
        command = ["taskset", "-c", "1", sys.executable, "-m", "tests.bench.wire_server", str(pem)]
        server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            ports = [int(word) for word in server.stdout.readline().split()]
            with exporter(folder, str(authority.ca_file)) as yardstick:
                yield Bench(ports, str(authority.ca_file), yardstick)
        finally:
            server.terminate()
            server.wait(5)
            assert server.stdout is not None
            server.stdout.close()


def cost(on: Bench, quick: bool) -> Table:
    """CPU per probe, each on a new connection, 50 at a time; the median of interleaved rounds."""
    rounds, run_s = (2, 0.7) if quick else (9, 1.0)
    engines = ["wire", "wire (asyncio)", *on.engines[1:]]
    seen: dict[tuple[str, str], list[dict[str, float]]] = {}
    for _ in range(rounds):
        for scheme in ("http", "https", "h2"):
            for engine in engines:
                told = on.run(engine, scheme, "/", mode="saturate", concurrency=50, run_s=run_s)
                seen.setdefault((engine, scheme), []).append(told)
    title = "CPU per probe, each on a new connection, 50 at a time"
    table = Table("engine", "scheme", "CPU ms / probe", "probes/s", "× blackbox", "claim", title=title)
    for scheme, claim in (("http", HTTP_CLAIM), ("https", HTTPS_CLAIM), ("h2", 0.0)):
        yardstick = statistics.median(one["cpu_ms"] for one in seen.get(("blackbox", scheme), [{"cpu_ms": 0.0}]))
        for engine in engines:
            cpu_ms = statistics.median(one["cpu_ms"] for one in seen[engine, scheme])
            rate = statistics.median(one["rate"] for one in seen[engine, scheme])
            ratio = cpu_ms / yardstick if yardstick else 0.0
            claimed = engine == "wire" and yardstick and claim
            verdict = f"≤ {claim}: {'holds' if ratio <= claim else 'FAILS'}" if claimed else ""
            table.add_row(engine, scheme, f"{cpu_ms:.3f}", f"{rate:,.0f}", f"{ratio:.2f}" if ratio else "–", verdict)
    return table


def errors(on: Bench, engine: str, scheme: str, **job: Any) -> dict[str, list[float]]:
    """Run one job and return measured minus true, in milliseconds and sorted, by name of the measurement."""
    on.truth()
    told: dict[str, dict[str, float]] = on.run(engine, scheme, f"/{DELAY_MS}", **job)
    truth = on.truth()
    found: dict[str, list[float]] = {}
    for number, measured in told.items():
        for name, value in measured.items():
            known = truth[number]
            against = known["wait"] if name == "total" else known.get(name, 0.0)
            found.setdefault(name, []).append((value - against) * 1000)
    return {name: sorted(values) for name, values in found.items()}


def shape(values: list[float]) -> str:
    """Return p50 / p99 / max."""
    if not values:
        return "–"
    return f"{values[len(values) // 2]:.2f} / {values[int(len(values) * 0.99)]:.2f} / {values[-1]:.2f}"


def truth(on: Bench, quick: bool) -> Table:
    """Error of the phases against the server's knowledge."""
    run_s, times = (2.0, 2) if quick else (5.0, 4)
    jobs: dict[str, dict[str, Any]] = {
        "100/s": {"mode": "spread", "rate": 100, "run_s": run_s},
        "500/s": {"mode": "spread", "rate": 500, "run_s": run_s},
        BLOCKED: {"mode": "spread", "rate": 500, "run_s": run_s, "block": True},
        "burst of 200": {"mode": "burst", "times": times},
    }
    table = Table("load", "scheme", "engine", "wait", "total", "claim", title="Error in ms: p50 / p99 / max")
    for load, job in jobs.items():
        for scheme in ("http", "https", "h2"):
            for engine in on.engines:
                if engine == "blackbox" and job.get("block"):
                    continue  # a Go program has no event loop to block
                if scheme == "h2" and load != "100/s":
                    continue  # the server of HTTP/2 takes two milliseconds a connection and would measure itself
                found = errors(on, engine, scheme, **job)
                verdict = ""
                if engine == "wire" and load.startswith("500"):
                    p99 = found["wait"][int(len(found["wait"]) * 0.99)]
                    verdict = f"wait p99 < {WAIT_CLAIM_MS}: {'holds' if abs(p99) < WAIT_CLAIM_MS else 'FAILS'}"
                table.add_row(load, scheme, engine, shape(found["wait"]), shape(found["total"]), verdict)
    return table


def parts(on: Bench, quick: bool) -> Table:
    """Error of our other phases (a loopback connect takes next to nothing), and the lag that was told apart."""
    title = "The wire's other phases, error in ms: p50 / p99 / max"
    table = Table("load", "scheme", "connect", "TLS", "loop lag told", title=title)
    for block in (False, True):
        for scheme in ("http", "https"):
            job = {"mode": "spread", "rate": 500, "run_s": 2.0 if quick else 5.0, "block": block}
            found = errors(on, "wire", scheme, **job)
            load = BLOCKED if block else "500/s"
            tls = shape(found["tls"]) if scheme == "https" else "–"
            table.add_row(load, scheme, shape(found["connect"]), tls, shape(found["lag"]))
    return table


def names(on: Bench, quick: bool) -> Table | None:
    """Error of the DNS phase; each probe asks for a name of its own. ``None`` where no name server can be set up."""
    table = Table(
        "load", "engine", "DNS", title="The DNS phase, a name server 20 ms away, error in ms: p50 / p99 / max"
    )
    with tempfile.TemporaryDirectory() as name, name_server(Path(name)) as before:
        if before is None:
            return None
        with exporter(Path(name), on.ca_file, before) as yardstick:
            there = Bench(list(on.ports.values()), on.ca_file, yardstick)
            there.before = before
            url = f"http://pNUMBER.d20.test:{on.ports['http']}/0/NUMBER"
            for load, rate, block in (("100/s", 100, False), ("500/s", 500, False), (BLOCKED, 500, True)):
                for engine in there.engines:
                    if engine == "blackbox" and block:
                        continue
                    job = {"url": url, "mode": "spread", "rate": rate, "run_s": 2.0 if quick else 5.0, "block": block}
                    named_truth()
                    told = there.run(engine, "http", "", **job)
                    known = named_truth()
                    found = sorted((told[one]["dns"] - known[one]) * 1000 for one in told)
                    words = " (with connect: it tells the two as one)" if engine == "httpx" else ""
                    table.add_row(load, engine + words, shape(found))
    return table


def main(quick: bool) -> None:
    """Print the tables."""
    if (os.cpu_count() or 1) < 2:
        print("wire: needs two cores, one for clients and one for servers; this machine has one")
        return
    console = Console(width=140)
    with bench() as on:
        if on.yardstick is None:
            console.print(
                "left out: prometheus-blackbox-exporter is missing; apt-get install prometheus-blackbox-exporter"
            )
        for table in (cost, truth, parts, names):
            console.print(table(on, quick) or "left out: the DNS phase; it needs root and util-linux' unshare")
