"""What is not public leaves no trace at a public door, and odd requests get nothing out of any door."""

from __future__ import annotations

import asyncio
import http.client
import os
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from dashboard.data import Reader
from dashboard.web.app import Site, application
from monitor import clock, flow
from monitor.core.catalogue import Catalogue, Component, ComponentKind, Policy, Probe, Service
from monitor.core.commands import Command, HideIncident, OpenIncident, PostUpdate, ScheduleMaintenance
from monitor.core.model.incident_events import Cause
from monitor.core.model.observations import Observation, Phases, Result, RunId
from monitor.core.model.reasons import Reason
from monitor.core.model.states import Health, Impact
from monitor.core.model.upstream import UpstreamReading
from monitor.recorder.metrics import Seen, registry_for
from monitor.recorder.scrape import application as worker_side
from monitor.runtime.visitors import HEAD_BYTES, Crowd, speaking_http
from monitor.store import reads
from monitor.store.connection.engine import open_engine
from monitor.store.upgrade import migrate
from tests.doors import seeded
from tests.doors.running import free_port
from tests.doors.serving import served
from tests.doors.test_secrets import page, program, until

HIDDEN = "zorblax"
"""Stands in every id, name and text that is not public."""


def catalogue() -> Catalogue:
    odd = Policy(shortest_outage_s=20.0, failure_ratio=0.07)
    own = ("shop/web", "shop/zorblax-admin", "zorblax/web")
    return Catalogue(
        (
            *(Service("shop", "Shop"), Service("till", "Till"), Service("mall", "Mall")),
            Service("zorblax", "Zorblax", "https://zorblax.example", public=False),
        ),
        (
            Component("shop/web", "shop", "Web chat", ComponentKind.WEB, depends_on=("shop/zorblax-admin",)),
            Component("shop/zorblax-admin", "shop", "Zorblax admin", ComponentKind.OTHER, public=False),
            Component("till/web", "till", "Till web", ComponentKind.WEB),
            Component("mall/web", "mall", "Mall web", ComponentKind.WEB),
            Component("mall/zorblax-admin", "mall", "Zorblax office", ComponentKind.OTHER, public=False),
            Component("zorblax/web", "zorblax", "Zorblax web", ComponentKind.WEB),
        ),
        (
            *(Probe(name.replace("/", "-"), name, "http", 60, 10.0, policy=odd, target=name) for name in own[1:]),
            Probe("shop-web", "shop/web", "http", 60, 10.0),
            Probe("mall-web", "mall/web", "http", 60, 10.0),  # it answers, so the failures of others are their own
            Probe("shop-says", "shop/web", "upstream", 60, 10.0, witness=True, target="status.shop.example"),
            Probe("zorblax-off", "zorblax/web", "http", 60, 10.0, disabled="secret ZORBLAX_KEY is not set"),
        ),
    )


def looked(probe: Probe, tick: datetime, bad: bool) -> Result:
    reason = Reason.SERVER_ERROR if bad and not probe.witness else Reason.OK
    told = UpstreamReading("statuspage", "", Health.OPERATIONAL, mapped={"shop/zorblax-admin": Health.OPERATIONAL})
    seen = Observation(
        reason, f"HTTP 500 of {probe.id}", phases=Phases(wait_s=0.2), upstream=told if probe.witness else None
    )
    return Result(RunId(probe.id, "local", tick), tick, 0.2, seen)


def database(folder: Path) -> str:
    """A database in which private and public parts fail, together and apart."""
    url, now = f"sqlite:///{folder / 'boundary.db'}", clock.now()
    engine = open_engine(url)
    migrate(engine)
    start = now.replace(second=0, microsecond=0) - timedelta(minutes=30)
    flow.publish_catalogue(engine, catalogue(), start)
    for minute in range(30):
        tick = start + timedelta(minutes=minute)
        bad = {"shop-web": minute > 20, "shop-zorblax-admin": minute > 10, "zorblax-web": minute > 5}
        results = [looked(probe, tick, bad.get(probe.id, False)) for probe in catalogue().probes if not probe.disabled]
        flow.record(engine, results, tick + timedelta(seconds=1))
    flow.check_in(engine, "w1", "local", now)
    standing = {item.service: item.id for item in reads.incidents(engine, public=False, open_only=True)}
    later, words = now + timedelta(hours=1), "zorblax words"
    orders: list[Command] = [
        OpenIncident("till", ("till/web",), Impact.MINOR, "Zorblax, not yet told", words, public=False),
        OpenIncident("mall", ("mall/zorblax-admin",), Impact.MAJOR, "Zorblax admin is slow", words),
        PostUpdate(standing["zorblax"], words, title="Zorblax is down"),
        PostUpdate(standing["shop"], "Both are slow"),
        ScheduleMaintenance("zorblax", (), "Zorblax upgrade", now, later, words),
        ScheduleMaintenance("mall", ("mall/zorblax-admin",), "Zorblax work", now, later),
    ]
    for order in orders:
        flow.command(engine, order, "alice", now, "zorblax reason")
    early = OpenIncident("till", ("till/web",), Impact.MINOR, "Zorblax at first", words, Cause.REGISTRATION)
    told = flow.command(engine, early, "alice", now).subject
    flow.command(engine, PostUpdate(told, "zorblax update"), "alice", now)
    flow.command(engine, HideIncident(told), "alice", now)
    flow.roll_up(engine, now)
    engine.dispose()
    return url


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with that database."""
    folder = tmp_path_factory.mktemp("boundary")
    database(folder)
    return folder


@pytest.fixture(scope="module")
def site(home: Path) -> Iterator[Site]:
    """Every answer that the public web door can give over that database."""
    reader = Reader(f"sqlite:///{home / 'boundary.db'}")
    made = Site(reader.read, "https://status.example", home / "last.json")
    made.start(clock.now())
    yield made
    reader.close()


def test_nothing_private_is_in_any_public_answer_or_in_what_is_kept_of_them(site: Site, home: Path) -> None:
    assert "Both are slow" in site.answers["/"].body.decode()
    assert len(site.answers) > 20
    for path, answer in site.answers.items():
        assert HIDDEN not in path.lower()
        assert HIDDEN not in answer.body.decode().lower(), path
    kept = (home / "last.json").read_text().lower()
    assert HIDDEN not in kept, kept[max(0, kept.index(HIDDEN) - 300) :][:400]


def test_whoever_may_see_everything_sees_it(home: Path) -> None:
    engine = open_engine(f"sqlite:///{home / 'boundary.db'}", read_only=True)
    try:
        inside = reads.snapshot(engine, clock.now(), public=False)
        hidden = [item.id for item in inside.open_incidents if HIDDEN in item.title.lower()]
        assert len(hidden) >= 4
        assert [reads.incident(engine, item, public=True) for item in hidden] == [None] * len(hidden)
        shown = reads.incidents(engine, public=True, limit=100)
        told = repr(shown).lower()
        assert HIDDEN not in told, told[max(0, told.index(HIDDEN) - 200) :][:300]
        assert not {item.id for item in shown} & set(hidden)
    finally:
        engine.dispose()


@pytest.fixture(scope="module")
def door(site: Site) -> Iterator[httpx.Client]:
    with served(application(site), http=speaking_http(Crowd(), HEAD_BYTES)) as client:
        yield client


PATHS = (
    "/../../etc/passwd", "/..%2f..%2fetc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/static/../web.py",
    "/\\..\\x",
    "/incidents/%00", "/incidents/" + "a" * 20_000, "/badge/..%2f..%2fvar%2fweb%2flast.json", "/var/web/last.json",
    "/last.json", "/.git/config", "/api/v2/../../healthz", "/badge/zorblax.svg", "/badge/zorblax-web.svg",
    "/incidents/zorblax",
    "/zh/zh/", "/zh//", "/api/v1/services.json/", "/docs", "/openapi.json", "/metrics", "/console", "/%ff%fe", "/404",
)  # fmt: skip
QUERIES = (
    "lang=" + "z" * 30_000,
    "lang=zh&lang=en",
    "lang=../..",
    "tz=Mars/Olympus",
    "from=9&to=1",
    "page=" + "9" * 5000,
    "%00=%00",
)


def raw(port: int, request: bytes) -> bytes:
    """Send bytes as they stand and return all that comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as line:
        line.sendall(request)
        line.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := line.recv(65536):
            answer += piece
    return answer


def test_odd_addresses_are_not_found_and_give_nothing_away(door: httpx.Client) -> None:
    port = int(str(door.base_url).rsplit(":", 1)[1])
    for path in PATHS:
        answer = raw(port, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode("latin-1"))
        status = int(answer.split(b" ", 2)[1])
        assert status in (200, 400, 404, 414), (path, status)
        assert status != 200 or path in ("/zh/zh/", "/zh//", "/api/v1/services.json/", "//"), path
        assert b"root:" not in answer
        assert HIDDEN.encode() not in answer.lower()
        assert b"Traceback" not in answer
    for query in QUERIES:
        answer = raw(port, f"GET /?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert answer.split(b" ", 2)[1] in (b"200", b"400", b"404", b"414")
        assert b"zzzz" not in answer
        assert b"Traceback" not in answer


@pytest.mark.parametrize(
    "method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "BREW"]
)
def test_no_method_but_reading_does_anything(door: httpx.Client, method: str) -> None:
    line = http.client.HTTPConnection("127.0.0.1", int(str(door.base_url).rsplit(":", 1)[1]), timeout=60)
    line.request(method, "/", body=b"x" * 1000, headers={"X-HTTP-Method-Override": "GET", "Cookie": "a=canary-cookie"})
    answer = line.getresponse()
    said = answer.read()
    line.close()
    assert answer.status in (400, 404, 405, 501)
    assert b"canary-cookie" not in said


SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 0\r\nContent-Length: 40\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        b"Transfer-Encoding:\x0bchunked\r\n",
        b"Content-Length: +0\r\n",
        b"X: a\nContent-Length: 3\r\n",
        b"Host: evil.example\r\n",
        b"X-Forwarded-Host: evil.example\r\nForwarded: host=evil.example\r\nX-Original-URL: /smuggled\r\n",
    ],
)
def test_no_second_request_hides_in_a_first_and_no_header_is_believed(door: httpx.Client, head: bytes) -> None:
    port = int(str(door.base_url).rsplit(":", 1)[1])
    answer = raw(port, b"POST / HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n0\r\n\r\n" + SMUGGLED)
    assert b"evil.example" not in answer
    statuses = re.findall(rb"HTTP/1\.1 (\d+)", answer)
    assert statuses
    assert statuses[0] in (b"400", b"405")
    assert b" 200 " not in answer


def test_a_flood_of_headers_costs_the_sender_the_connection(door: httpx.Client) -> None:
    port = int(str(door.base_url).rsplit(":", 1)[1])
    with suppress(ConnectionError):
        answer = raw(port, b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-A: " + b"a" * 4_000_000 + b"\r\n\r\n")
        assert answer == b"" or answer.split(b" ")[1] == b"431"
    assert door.get("/healthz").status_code == 200


# --- the worker's side ------------------------------------------------------------------------------------------------


def worker() -> tuple[Starlette, CollectorRegistry]:
    seen = Seen(clock.now, catalogue())
    registry, _ = registry_for(seen)
    return worker_side(seen, registry), registry


@pytest.mark.parametrize(
    "target",
    ["http://169.254.169.254/latest/meta-data/", "127.0.0.1:22", "file:///etc/passwd", "shop-web\n", "shop-web/../x",
     "../../etc/passwd", "x" * 5000, "shop-web&target=http://127.0.0.1", "\x00", "<script>alert(1)</script>"],
)  # fmt: skip
def test_probe_takes_the_id_of_a_configured_probe_and_nothing_else(target: str) -> None:
    with served(worker()[0]) as client:
        answer = client.get("/probe", params={"target": target, "module": "http_2xx"})
        assert answer.status_code == 400
        assert "alert(1)" not in answer.text
        assert client.get("/probe", params={"target": "shop-web"}).status_code == 200
        for path in ("/-/reload", "/-/quit", "/api/v2/alerts", "/debug/pprof/", "/../etc/passwd"):
            assert client.request("POST", path, content=b"[]").status_code in (404, 405)
        assert client.post("/metrics", content=b"x").status_code == 405


# --- the console ------------------------------------------------------------------------------------------------------


def rerun(query: str = "") -> bytes:
    """Return the message with which a browser asks Streamlit to draw a page."""
    from streamlit.proto.BackMsg_pb2 import BackMsg

    message = BackMsg()
    message.rerun_script.query_string = query
    message.rerun_script.page_name = query or "inbox"
    return bytes(message.SerializeToString())


async def overheard(port: int, headers: dict[str, str]) -> bytes:
    """Talk to the console's websocket without having signed in; return all that it sends until its pages are drawn."""
    from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
    from websockets.asyncio.client import connect

    told = b""
    address = f"ws://127.0.0.1:{port}/_stcore/stream"
    async with connect(address, subprotocols=["streamlit"], additional_headers=headers, max_size=None) as line:  # type: ignore[list-item]  # a NewType of str
        for name in ("", "audit"):
            await line.send(rerun(name))
            drawn = False
            while not drawn:
                said = await line.recv()
                assert isinstance(said, bytes)
                told += said
                drawn = ForwardMsg.FromString(said).WhichOneof("type") == "script_finished"
        with suppress(TimeoutError):
            async with asyncio.timeout(1):  # whatever comes afterwards
                while True:
                    said = await line.recv()
                    told += said if isinstance(said, bytes) else said.encode()
    return told


@pytest.mark.slow
def test_the_consoles_websocket_tells_nothing_to_who_has_not_signed_in(tmp_path: Path) -> None:
    async def play() -> tuple[bytes, bytes]:
        settings = {**os.environ, "CHATWATCH_DATABASE": seeded.database(tmp_path, clock.now(), trouble=True)}
        settings |= {"PYTHONPATH": str(Path(__file__).parents[2]), "HOME": str(tmp_path)}
        port = free_port()

        async def up() -> bool:
            return bool(await page(port, "/_stcore/health"))

        async with program(tmp_path, settings, "dashboard.serve", "console", "--port", str(port)):
            await until(up, tmp_path)
            forged = {"Cookie": f"chatwatch_session={'A' * 43}", "X-Forwarded-User": seeded.NAME}
            return await asyncio.gather(overheard(port, {}), overheard(port, forged))

    for told in asyncio.run(play()):
        assert b"assword" in told, "the door itself is drawn"
        for word in (b"DeepSeek", b"deepseek", b"firing", b"component_down", b"overloaded", b"mainland", b"LogIn"):
            assert word not in told, word
        assert seeded.NAME.encode() not in told


def test_the_public_catalogue_keeps_public_probes(site: Site) -> None:
    assert site.reading is not None
    assert [probe.id for probe in site.reading.catalogue.probes] == ["shop-web", "mall-web", "shop-says"]
    assert replace(site.reading.catalogue, version="").routes == ()
