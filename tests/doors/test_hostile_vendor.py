"""What a hostile vendor writes comes out inert at every door: through a real worker, database, web server and CLI."""

from __future__ import annotations

import asyncio
import html
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

from monitor import clock
from monitor.channels import slack
from monitor.channels.base import Notice
from monitor.cli import chatwatch
from monitor.core.entities import Alert
from monitor.core.model.alert_rules import Foreign
from monitor.core.model.alerting import AlertState, Severity, Why
from monitor.store import reads
from monitor.store.connection.engine import open_engine
from tests.doors.hostile import HOSTILE
from tests.doors.running import free_port
from tests.doors.test_secrets import environ, fetched, page, program, until
from tests.doors.test_web import Elements
from tests.edges.hostile import serve

EVIL = (
    *(text for text in HOSTILE if len(text) < 1000),
    "<!channel> <@U123> *bold* _it_ `code` <https://evil.example|click>",
    "--><script>alert(1)</script> ]]></content><script>alert(1)</script>",
    "&lt;script&gt;alert(1)&lt;/script&gt; &#60;img src=x onerror=alert(1)&#62;",
    "line\u2028separator\u2029and\x85next\x9b31mred\x9b0m",
    "half \ud800 surrogate \udfff and \ufeff mark \u200b\u200d",
    "a\r\nSet-Cookie: evil=1\r\n\r\n<script>alert(1)</script>",
    "{0.__class__.__mro__} %s%n %(x)s {title} {{title}}",
    "$(reboot) `reboot` ; reboot & | reboot",
    "' OR 1=1; DROP TABLE incident; --",
    "<svg/onload=alert(1)><math><mtext></mtext></math><iframe src=//evil.example>",
    "data:text/html,<script>alert(1)</script>",
    "\u202eevil\u202c \u2066hidden\u2069 \U000e0041\U000e0042",
)
LONG = "Overlong " + "<b>y" * 250_000
SHAPELESS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\U000e0000-\U000e0fff]"
)


@dataclass
class Vendor:
    """Its status page, its API and its sign-up page all carry the same texts; ``inbox`` is what we posted."""

    port: int = 0
    asked: int = 0
    inbox: dict[str, list[Any]] = field(default_factory=lambda: {"hook": [], "slack": [], "alerts": []})

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = re.search(r"(?i)content-length: *(\d+)", head)
        sent = await reader.readexactly(int(length[1]) if length else 0)
        path = head.split(" ")[1]
        if path.startswith("/inbox"):
            self.inbox[path.split("/")[2]].append(json.loads(sent))
        self.asked += 1
        text = EVIL[self.asked % len(EVIL)]
        status, kind, body = self.answer(path, text)
        odd = text.encode("ascii", "replace").decode().replace("\r", " ").replace("\n", " ").replace("\0", " ")
        writer.write(f"HTTP/1.1 {status} {odd}\r\nContent-Type: {kind}\r\nServer: {odd}\r\nVia: {odd}\r\n".encode())
        writer.write(f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        await writer.drain()

    def answer(self, path: str, text: str) -> tuple[int, str, bytes]:
        if path.startswith("/inbox"):
            return 200, "text/plain", b"ok"
        if path.startswith("/status/"):
            return 200, "application/json", json.dumps(status_page(path)).encode()
        if path.startswith("/v1"):
            error = {"message": text, "type": text, "code": text, "param": text}
            return 503, "application/json", json.dumps({"error": error}).encode()
        if path.startswith("/sign_up"):
            return 200, "text/html; charset=utf-8", sign_up().encode("utf-8", "replace")
        return 500, "text/html", f"<html><title>{text}</title>{text}</html>".encode("utf-8", "replace")


def status_page(path: str) -> dict[str, Any]:
    at = clock.now().isoformat()
    incidents = [
        {
            "id": f"i{index}{text}", "name": text, "status": text if index % 2 else "investigating", "impact": text,
            "created_at": at, "started_at": at, "updated_at": at, "resolved_at": None,
            "shortlink": text if index % 3 else "javascript:alert(1)", "components": [{"id": text, "name": text}],
            "incident_updates": [
                {"id": text, "status": "investigating", "body": text, "created_at": at, "display_at": at},
                {"id": f"2{text}", "status": text, "body": LONG, "created_at": at, "display_at": at},
            ][: 1 + (index == 0)],
        }
        for index, text in enumerate(EVIL)
    ]  # fmt: skip
    components = [{"id": f"c{text}", "name": text, "status": text, "group": False} for text in EVIL]
    about = {"id": "p", "name": EVIL[0], "url": "javascript:alert(1)", "updated_at": at, "time_zone": EVIL[3]}
    status = {"indicator": "major", "description": EVIL[1]}
    return {
        "page": about,
        "status": status,
        "components": components,
        "incidents": incidents,
        "scheduled_maintenances": [],
    }


def sign_up() -> str:
    words = "<p>Only registration with a mainland China mobile phone number (+86) is currently supported. {}</p>"
    return f"<html><body><h1>Sign up</h1>{''.join(words.format(html.escape(text)) for text in EVIL)}</body></html>"


def configuration(base: str, metrics: int) -> str:
    def probe(name: str, component: str, kind: str, **options: object) -> dict[str, object]:
        return {"id": name, "component": component, "kind": kind, "interval": "1s", "timeout": "1s", "options": options}

    probes = [
        probe("chat", "api", "chat", base_url=f"{base}/v1", model="m", key="${HEADER}"),
        probe("page", "web", "http", url=f"{base}/page", redirects=1),
        probe("sign-up", "registration", "registration", detector="page_text", url=f"{base}/sign_up"),
        probe("says", "api", "upstream", provider="statuspage", url=f"{base}/status"),
    ]
    parts = [{"id": name, "name": name, "kind": name} for name in ("web", "api", "registration")]
    channels = {
        "hook": {"kind": "webhook", "url": "${HOOK}"},
        "slack": {"kind": "slack", "url": "${SLACK}"},
        "alerts": {"kind": "alertmanager", "url": f"{base}/inbox/alerts"},
    }
    whole: dict[str, object] = {"allow_networks": ["127.0.0.0/8"], "listen": {"metrics": f"127.0.0.1:{metrics}"}}
    whole["services"] = [{"id": "evil", "name": "Evil", "components": parts, "probes": probes}]
    route = {"id": "all", "channels": list(channels), "severities": ["page", "ticket", "info"]}
    return json.dumps(whole | {"channels": channels, "routes": [route]})


@asynccontextmanager
async def vendor() -> AsyncIterator[Vendor]:
    evil = Vendor()
    async with serve(evil) as evil.port:
        yield evil


async def seen_through(home: Path) -> tuple[dict[str, str], Vendor]:
    """Run worker and web door until the vendor's words are on the page; return what is shown."""
    async with vendor() as evil:
        base, metrics, web = f"http://127.0.0.1:{evil.port}", free_port(), free_port()
        (home / "probes.yaml").write_text(configuration(base, metrics))
        settings = environ(base, f"sqlite:///{home / 'test.db'}")
        settings |= {"HOOK": f"{base}/inbox/hook", "SLACK": f"{base}/inbox/slack"}

        async def told() -> bool:
            said = await page(web, "/api/v2/incidents.json")
            return "reboot" in said and all(evil.inbox.values()) and "+86" in await page(web, "/")

        async with (
            program(home, settings, "monitor", "worker"),
            program(home, settings, "dashboard.web.app", "--port", str(web)),
        ):
            await until(told, home)
            shown = await fetched(web)
            for path in ("/metrics", "/sd", "/probe?target=evil-chat", "/probe?target=evil-says"):
                shown[f"worker {path}"] = await page(metrics, path)
            shown |= await asyncio.to_thread(asked_in_a_terminal, home, settings)
        return shown, evil


def asked_in_a_terminal(home: Path, settings: dict[str, str]) -> dict[str, str]:
    words = ["incident list --all", "alert list --all"]
    words += [
        f"probe evil-{name} {form}" for name in ("chat", "page", "sign-up", "says") for form in ("--explain", "--json")
    ]
    given = settings | {"CHATWATCH_CONFIG": str(home / "probes.yaml")}
    return {f"cli {line}": CliRunner().invoke(chatwatch, line.split(), env=given, color=True).output for line in words}


@pytest.mark.slow
def test_a_hostile_vendors_words_are_inert_at_every_door(tmp_path: Path) -> None:
    shown, evil = asyncio.run(seen_through(tmp_path))
    for path, text in shown.items():
        assert text, path
        styled = re.sub(r"\x1b\[[0-9;]*m", "", text) if path.endswith("--explain") else text
        assert not (odd := SHAPELESS.findall(styled.replace("\r\n", "\n"))), (path, odd)
        assert "y<b>y" * 1000 not in text, path
        if path.startswith("cli"):
            continue
        if path.endswith(".json") or path == "worker /sd":
            json.loads(text)
        elif path.startswith(("/feed", "/badge")):
            check_xml(path, text)
        elif path.startswith("worker"):
            check_metrics(text)
        elif path.endswith(".ics"):
            assert all(len(line.encode()) <= 75 for line in text.splitlines())
        else:
            check_html(path, text)
    assert "reboot" in shown["/api/v2/incidents.json"], "the words are shown, not swallowed"
    check_payloads(evil.inbox)
    assert evidence_is_stored(tmp_path)


def check_html(path: str, text: str) -> None:
    elements = Elements(text)
    names = [tag for tag, _ in elements.tags]
    assert not {"img", "iframe", "math", "object", "embed", "form", "base", "video", "audio", "input"} & set(names), (
        path
    )
    assert names.count("script") == 1, path
    assert names.count("style") <= 1, path
    for tag, attributes in elements.tags:
        assert not [name for name in attributes if name.startswith("on") or name in ("style", "srcdoc")], (path, tag)
        for name in ("href", "src", "action"):
            value = attributes.get(name, "")
            assert re.match(r"^(/(?!/)|#|\./|https?://[a-z0-9.:-]+/|$)", value), (path, tag, value)


def check_xml(path: str, text: str) -> None:
    root = ElementTree.fromstring(text)
    for element in root.iter():
        assert not element.tag.rpartition("}")[2].startswith(("script", "img", "iframe")), path
        if element.tag == "description":
            # RSS descriptions are HTML: what is left after one more decoding must be text.
            assert Elements(element.text or "").tags == [], path
        if element.tag.endswith("content"):
            assert element.attrib["type"] == "text"


def check_metrics(text: str) -> None:
    names = set()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            names.add(sample.name)
            for label, value in sample.labels.items():
                assert re.fullmatch(r"[A-Za-z0-9_./:+ -]*", value), (sample.name, label, value)
    assert names


def check_payloads(inbox: dict[str, list[Any]]) -> None:
    for name, bodies in inbox.items():
        for text in texts(bodies):
            assert not SHAPELESS.findall(text.replace("\n", "")), (name, text)
            if name == "slack":
                assert "<" not in text, text
                assert len(text) < 3000


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from texts(key)
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


def evidence_is_stored(home: Path) -> bool:
    engine = open_engine(f"sqlite:///{home / 'test.db'}", read_only=True)
    try:
        snapshot = reads.snapshot(engine, clock.now(), public=True)
    finally:
        engine.dispose()
    said = snapshot.services[0].upstream
    assert said is not None
    assert said.reading is not None
    assert len(said.reading.incidents) > 5
    return any(event.kind == "upstream_said" for item in snapshot.open_incidents for event in item.events)


@pytest.mark.parametrize("key", ["read_on", "Read on", "why", "<!channel>"])
def test_no_fact_of_an_alert_is_read_as_markup_whatever_its_name(key: str) -> None:
    at = clock.now()
    for text in EVIL:
        alert = Alert(
            id="a", key="k", rule=Foreign(text), severity=Severity.PAGE, state=AlertState.FIRING,
            service=text, component=text, started_at=at, fired_at=at, summary={key: text},
        )  # fmt: skip
        body = slack.body(Notice("k", alert, Why.FIRST, at, service_name=text, component_name=text))
        for shown in texts(body):
            assert "<" not in shown
            assert not SHAPELESS.findall(shown.replace("\n", ""))
