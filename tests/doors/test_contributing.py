"""The recipes of CONTRIBUTING, followed in a copy of the sources. That of a probe kind is in test_new_kind.py."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import re
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
parameters: {}
components: [{id: web, name: Web chat, name_zh: 网页, kind: web}]
probes:
  - {id: page, component: web, kind: http, interval: 1m, timeout: 10s, options: {url: "https://chat.acme.example/"}}
sources:
  service: {source: "https://acme.example/docs", date: 2026-11-30, verified: false}
  probes.page.options: {source: "https://acme.example/docs", date: 2026-11-30, verified: false}
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
from dataclasses import replace
from dashboard.sentences import name_of
from dashboard.web.app import preferred
from dashboard.web.render import pages
from dashboard.words import Language, others, speak, spoken
from monitor.core.model.states import Health
from monitor.text.countries import country_codes
from tests.doors import sample

french = Language("fr")
words = speak(french)
assert words.of(Health.OPERATIONAL) == "Fonctionne"
assert words.number(1234.5, 1).split() == ["1", "234,5"]
assert [name for _, name in others(french)] == ["English", "中文"]
assert preferred("fr-CH, en;q=0.5") is spoken("fr_FR") is french
assert country_codes("Only numbers from Allemagne") == ("49",)
part = sample.january().services[0].components[0]
assert name_of(replace(part, names={"zh": "x", "fr": "Discussion"}), words) == "Discussion"
found = pages(sample.january(), sample.catalogue())
assert b'<html class="cw" lang="fr" data-locale="fr">' in found["/fr/method"]
for path, links in {"/": ("/zh/", "/fr/"), "/zh/": ("/en/", "/fr/"), "/fr/method": ("/method", "/zh/method")}.items():
    for link in links:
        assert found[path].decode().count(f'href="{link}"') >= 2, (path, link)
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for room in ("monitor", "dashboard", "tests"):
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


def step_3(folder: Path, what: str) -> subprocess.CompletedProcess[str]:
    """Run the tests that a recipe's last step names."""
    recipe = RECIPES.partition(f"## Add a {what}\n")[2].partition("\n## ")[0].partition("\n3. ")[2]
    named = re.search(r"`pytest ([^`]+)`", recipe)
    assert named, "the recipe's last step says what to run"
    return run(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0", *named[1].split())


@pytest.mark.parametrize(
    "what", ["probe kind", "vendor", "channel", "language", "status-page platform", "registration detector"]
)
def test_each_recipe_has_three_steps(what: str) -> None:
    recipe = RECIPES.partition(f"## Add a {what}\n")[2].partition("\n## ")[0]
    assert [line[:3] for line in recipe.splitlines() if line[:1].isdigit()] == ["1. ", "2. ", "3. "]


def test_a_vendor_is_one_file_one_answer_and_its_name_in_the_list(copy: Path) -> None:
    services = "services: [{preset: acme}]\n"
    assert check(copy, services).returncode == 1
    (copy / "monitor" / "vendors" / "acme.yaml").write_text(PRESET, encoding="utf-8")
    done = check(copy, services)
    assert done.returncode == 0, done.stderr
    assert "acme-page" in done.stdout
    unnamed = step_3(copy, "vendor")
    assert "test_the_presets_are_those_that_the_readme_promises" in unnamed.stdout
    assert "test_a_vendor_is_one_file_and_one_answer" in unnamed.stdout
    readme = copy / "monitor" / "vendors" / "README.md"
    readme.write_text(readme.read_text(encoding="utf-8").replace("`anythingllm`.", "`anythingllm`, `acme`."), "utf-8")
    page = {"html": "<title>Acme</title><p>Welcome to the chat of Acme.</p>"}
    (copy / "tests" / "edges" / "vendors" / "acme.json").write_text(json.dumps({"answers": {"page": page}}))
    asked = step_3(copy, "vendor")
    assert asked.returncode == 0, asked.stdout


def test_a_channel_is_one_file(copy: Path) -> None:
    (copy / "monitor" / "channels" / "pager.py").write_text(CHANNEL, encoding="utf-8")
    services = "services: [{preset: xai}]\nchannels:\n  night: {kind: pager, url: "
    done = check(copy, services + '"${PAGER_URL}"}\nroutes: [{id: all, channels: [night]}]\n')
    assert done.returncode == 0, done.stderr
    wrong = check(copy, services + '"${PAGER_URL}", colour: red}\n')
    assert "colour" in wrong.stderr


@pytest.fixture
def french(copy: Path) -> dict[str, Path]:
    """The recipe's first two steps in a copy: the word's file by the room that speaks it."""
    replace(copy / "monitor" / "text" / "lexicon.py", '    ZH = "zh"\n', '    ZH = "zh"\n    FR = "fr"\n')
    files = {room.parts[-2]: room / "fr.toml" for room in (copy / "monitor" / "text", copy / "dashboard" / "language")}
    for file in files.values():
        english = file.with_name("en.toml").read_text(encoding="utf-8")
        file.write_text(english.replace('"Working"', '"Fonctionne"'), encoding="utf-8")
    return files


def test_a_language_is_one_member_and_two_files(copy: Path, french: dict[str, Path]) -> None:
    done = run(copy, "-c", SPEAK)
    assert done.returncode == 0, done.stderr
    preset = PRESET.replace("name_zh: 网页", "name_zh: 网页, name_fr: Discussion")
    (copy / "monitor" / "vendors" / "acme.yaml").write_text(preset, encoding="utf-8")
    named = check(copy, "services: [{preset: acme}]\n")
    assert named.returncode == 0, named.stderr
    assert french.keys() == {"monitor", "dashboard"}
    asked = step_3(copy, "language")
    assert asked.returncode == 0, asked.stdout


@pytest.mark.parametrize(("room", "key"), [("monitor", "country_world"), ("dashboard", "history")])
def test_the_last_step_of_a_language_names_the_word_that_is_missing(
    copy: Path, french: dict[str, Path], room: str, key: str
) -> None:
    whole = french[room].read_text(encoding="utf-8")
    replace(french[room], next(line for line in whole.splitlines(keepends=True) if line.startswith(f"{key} =")), "")
    asked = step_3(copy, "language")
    assert asked.returncode == 1, asked.stdout
    assert f"'{key}'" in asked.stdout


def test_a_status_page_platform_is_one_file(copy: Path) -> None:
    (copy / "monitor" / "probes" / "upstream" / "platforms" / "tiny.py").write_text(PLATFORM, encoding="utf-8")
    assert "partial_outage" in looked(copy, "upstream", "provider", "tiny", '"partial outage"')


def test_a_registration_detector_is_one_file(copy: Path) -> None:
    (copy / "monitor" / "probes" / "registration" / "detectors" / "guestbook.py").write_text(DETECTOR, encoding="utf-8")
    assert "any: open" in looked(copy, "registration", "detector", "guestbook", '{"welcome": true}')
