"""One client process of the wire benchmark: plain httpx or our wire; prints its measurements as JSON.

Run by :mod:`tests.bench.wire`, pinned to a core of its own.
"""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import ssl
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import uvloop

from monitor.wire import Wire
from tests.bench.wire_exporter import numbered

Probe = Callable[[str], Awaitable[dict[str, float]]]


def cpu_s() -> float:
    """Return user and system time of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def wire_probe(ca_file: str, *, http2: bool) -> Probe:
    """Probe over the timed wire."""
    wire = Wire(allow_networks=["127.0.0.0/8"], ca_file=ca_file)

    async def probe(url: str) -> dict[str, float]:
        answer = await wire.fetch("GET", url, http2=http2)
        assert answer.status == 200
        assert answer.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
        told = answer.phases
        total_s = sum(
            part or 0.0 for part in (told.connect_s, told.tls_s, told.request_s, told.wait_s, told.transfer_s)
        )
        return {
            "wait": told.wait_s or 0.0,
            "dns": told.dns_s or 0.0,
            "connect": told.connect_s or 0.0,
            "tls": told.tls_s or 0.0,
            "total": total_s,
            "lag": told.loop_lag_s,
        }

    return probe


def httpx_probe(ca_file: str, *, traced: bool, http2: bool) -> Probe:
    """Probe with a shared httpx client and a shared context, one connection per probe, as others do.

    Over HTTP/2 a shared client would put all probes on one connection, so there each has a client of its own.
    """
    context = ssl.create_default_context(cafile=ca_file)
    limits = httpx.Limits(max_keepalive_connections=0, max_connections=None)
    client = httpx.AsyncClient(verify=context, trust_env=False, limits=limits, timeout=20)
    headers = {} if http2 else {"connection": "close"}

    def of_its_own() -> httpx.AsyncClient:
        return httpx.AsyncClient(verify=context, trust_env=False, timeout=20, http2=True)

    async def probe(url: str) -> dict[str, float]:
        marks: dict[str, float] = {}

        async def trace(name: str, _: Any) -> None:
            marks[name.partition(".")[2]] = time.monotonic()

        started = time.monotonic()
        extensions = {"trace": trace} if traced else {}
        asker = of_its_own() if http2 else client
        answer = await asker.get(url, headers=headers, extensions=extensions)
        if http2:
            await asker.aclose()
        assert answer.status_code == 200
        assert answer.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
        total_s = time.monotonic() - started
        if not traced:
            return {"total": total_s}
        wait_s = marks["receive_response_headers.complete"] - marks["send_request_body.complete"]
        dns_s = marks["connect_tcp.complete"] - marks["connect_tcp.started"]  # it tells name and connection as one
        return {"wait": wait_s, "dns": dns_s, "total": total_s}

    return probe


async def saturate(probe: Probe, url: str, concurrency: int, run_s: float) -> dict[str, float]:
    """Probe as fast as *concurrency* allows; return CPU milliseconds per probe and probes per second."""
    done = 0
    over = time.monotonic() + run_s

    async def worker() -> None:
        nonlocal done
        while time.monotonic() < over:
            await probe(url)
            done += 1

    started, used = time.monotonic(), cpu_s()
    await asyncio.gather(*(worker() for _ in range(concurrency)))
    return {"cpu_ms": (cpu_s() - used) / done * 1000, "rate": done / (time.monotonic() - started)}


async def spread(probe: Probe, url: str, rate: float, run_s: float, block: bool) -> dict[str, dict[str, float]]:
    """Start probes evenly; with *block*, hold the loop up for 20 ms of every 220."""
    loop = asyncio.get_running_loop()
    told: dict[str, dict[str, float]] = {}
    started = time.monotonic()

    async def one(number: int) -> None:
        told[str(number)] = await probe(numbered(url, number))

    async def blocker() -> None:
        while True:
            await asyncio.sleep(0.2)
            time.sleep(0.02)  # noqa: ASYNC251 - the blocked loop is the point

    blocking = loop.create_task(blocker()) if block else None
    tasks = []
    for number in range(int(rate * run_s)):
        await asyncio.sleep(max(0.0, started + number / rate - time.monotonic()))
        tasks.append(loop.create_task(one(number)))
    await asyncio.gather(*tasks)
    if blocking is not None:
        blocking.cancel()
    return told


async def burst(probe: Probe, url: str, size: int, times: int) -> dict[str, dict[str, float]]:
    """Start *size* probes at the same instant, once a second."""
    told: dict[str, dict[str, float]] = {}

    async def one(number: int) -> None:
        told[str(number)] = await probe(numbered(url, number))

    for turn in range(times):
        await asyncio.gather(*(one(turn * size + number) for number in range(size)))
        await asyncio.sleep(0.5)
    return told


async def main(job: dict[str, Any]) -> Any:
    """Run one job."""
    ca_file, url = str(job["ca_file"]), str(job["url"])
    traced = job["mode"] != "saturate"
    http2 = bool(job.get("http2"))
    ours = job["engine"] == "wire"
    probe = wire_probe(ca_file, http2=http2) if ours else httpx_probe(ca_file, traced=traced, http2=http2)
    await asyncio.gather(*(probe(numbered(url, "warm") if traced else url) for _ in range(20)))
    gc.collect()
    gc.freeze()
    gc.disable()  # as the prober does
    if job["mode"] == "saturate":
        await saturate(probe, url, int(job["concurrency"]), 0.3)
        return await saturate(probe, url, int(job["concurrency"]), float(job["run_s"]))
    if job["mode"] == "burst":
        return await burst(probe, url, 200, int(job["times"]))
    return await spread(probe, url, float(job["rate"]), float(job["run_s"]), bool(job.get("block")))


if __name__ == "__main__":
    job = json.loads(sys.argv[1])
    factory = uvloop.new_event_loop if job.get("uvloop", True) else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        print(json.dumps(runner.run(main(job))))
