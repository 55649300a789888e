"""The recipes of CONTRIBUTING, followed in a copy of the sources. That of a probe kind is in test_new_kind.py."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doors.running import ROOT

RECIPES = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PRESET = """
service: {id: acme, name: Acme, url: "https://chat.acme.example/", status_page: ""}
components: [{id: web, name: Web chat, name_zh: 网页, kind: web}]
probes:
  - {id: page, component: web, kind: http, interval: 1m, timeout: 10s, options: {url: "https://chat.acme.example/"}}
sources:
  service.url: {source: "https://acme.example/docs", date: 2026-11-30, verified: false}
"""
CHANNEL = """
import json

from pydantic import SecretStr

from monitor.channels.base import Kind, Notice, Options, post, secret
from monitor.channels.words import title
from monitor.wire import Wire


class Pager(Options):
    url: SecretStr


async def send(options: Pager, notice: Notice, wire: Wire) -> None:
    await post(wire, secret(options.url), json.dumps({"say": title(notice)}).encode())


KIND = Kind("pager", Pager, send)
"""
PLATFORM = """
from monitor.core.model.upstream import UpstreamReading
from monitor.probes.upstream.parts import Look
from monitor.probes.upstream.platform import Endpoints, Platform


def read(document: object, look: Look) -> UpstreamReading:
    return look.reading(look.health(document))


KIND = Platform("tiny", Endpoints, read)
"""
DETECTOR = """
from monitor.core.model.registration import Method
from monitor.probes.registration.detector import CLOSED, OPEN, Detector, Heard, Reading, config, says


def read(heard: Heard) -> Reading:
    state = OPEN if heard.fields.get("welcome") is True else CLOSED
    return says("welcome", config(Method.ANY, state))


KIND = Detector("guestbook", read, path="/guests.json")
"""
PROBE = """
allow_networks: [127.0.0.0/8]
services:
  - id: acme
    name: Acme
    components: [{id: web, name: Web}]
    probes: [{id: new, component: web, kind: KIND, options: OPTIONS}]
"""
SPEAK = """
from dashboard.words import Language, speak
from monitor.core.model.states import Health
words = speak(Language("fr"))
print(words.of(Health.OPERATIONAL), words.number(1234.5, 1), Language("fr").home)
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for room in ("monitor", "dashboard"):
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environ = os.environ | {"PYTHONPATH": str(folder), "PAGER_URL": "https://pager.acme.example/"}
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)


def check(folder: Path, configuration: str) -> subprocess.CompletedProcess[str]:
    (folder / "probes.yaml").write_text(configuration, encoding="utf-8")
    return run(folder, "-m", "monitor", "check", "--config", str(folder / "probes.yaml"))


@contextlib.contextmanager
def answering(answer: str) -> Iterator[str]:
    """Serve one JSON answer at every address, and give the server's own."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the overridden method's name
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def looked(folder: Path, kind: str, word: str, name: str, answer: str) -> str:
    """Check a configuration with a new word of this kind, look once, and return what was seen."""
    with answering(answer) as url:
        written = PROBE.replace("KIND", kind).replace("OPTIONS", json.dumps({word: name, "url": url}))
        known = check(folder, written)
        assert known.returncode == 0, known.stderr
        wrong = check(folder, written.replace(name, "unheard_of"))
        assert f'"{word}" is none of the words that are known' in wrong.stderr
        assert name in wrong.stderr
        check(folder, written)
        done = run(folder, "-m", "monitor", "probe", "acme-new", "--config", str(folder / "probes.yaml"))
    assert done.returncode == 0, done.stderr
    return done.stdout


def replace(file: Path, before: str, after: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count(before) == 1, f"{file.name} has changed: mend the recipe in CONTRIBUTING and this test"
    file.write_text(text.replace(before, after), encoding="utf-8")


@pytest.mark.parametrize(
    "what", ["probe kind", "vendor", "channel", "language", "status-page platform", "registration detector"]
)
def test_each_recipe_has_three_steps(what: str) -> None:
    recipe = RECIPES.partition(f"## Add a {what}\n")[2].partition("\n## ")[0]
    assert [line[:3] for line in recipe.splitlines() if line[:1].isdigit()] == ["1. ", "2. ", "3. "]


def test_a_vendor_is_one_file(copy: Path) -> None:
    services = "services: [{preset: acme}]\n"
    assert check(copy, services).returncode == 1
    (copy / "monitor" / "vendors" / "acme.yaml").write_text(PRESET, encoding="utf-8")
    done = check(copy, services)
    assert done.returncode == 0, done.stderr
    assert "acme-page" in done.stdout


def test_a_channel_is_one_file(copy: Path) -> None:
    (copy / "monitor" / "channels" / "pager.py").write_text(CHANNEL, encoding="utf-8")
    services = "services: [{preset: xai}]\nchannels:\n  night: {kind: pager, url: "
    done = check(copy, services + '"${PAGER_URL}"}\nroutes: [{id: all, channels: [night]}]\n')
    assert done.returncode == 0, done.stderr
    wrong = check(copy, services + '"${PAGER_URL}", colour: red}\n')
    assert "colour" in wrong.stderr


def test_a_language_is_one_member_and_two_files(copy: Path) -> None:
    replace(copy / "monitor" / "text" / "lexicon.py", '    ZH = "zh"\n', '    ZH = "zh"\n    FR = "fr"\n')
    for folder in (copy / "monitor" / "text", copy / "dashboard" / "language"):
        english = (folder / "en.toml").read_text(encoding="utf-8")
        (folder / "fr.toml").write_text(english.replace('"Working"', '"Fonctionne"'), encoding="utf-8")
    done = run(copy, "-c", SPEAK)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["Fonctionne", *["1", "234,5"], "/fr/"]


def test_a_status_page_platform_is_one_file(copy: Path) -> None:
    (copy / "monitor" / "probes" / "upstream" / "platforms" / "tiny.py").write_text(PLATFORM, encoding="utf-8")
    assert "partial_outage" in looked(copy, "upstream", "provider", "tiny", '"partial outage"')


def test_a_registration_detector_is_one_file(copy: Path) -> None:
    (copy / "monitor" / "probes" / "registration" / "detectors" / "guestbook.py").write_text(DETECTOR, encoding="utf-8")
    assert "any: open" in looked(copy, "registration", "detector", "guestbook", '{"welcome": true}')
