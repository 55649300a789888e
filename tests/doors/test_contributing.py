"""The recipes of CONTRIBUTING, followed in a copy of the sources. That of a probe kind is in test_new_kind.py."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
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

from monitor.channels.base import Notice, Options, post, secret
from monitor.channels.words import title
from monitor.wire import Wire


class Pager(Options):
    url: SecretStr


async def send(options: Pager, notice: Notice, wire: Wire) -> None:
    await post(wire, secret(options.url), json.dumps({"say": title(notice)}).encode())
"""
READER = '''
def tiny(document: object, look: Look) -> UpstreamReading:
    """Read one word for the whole page."""
    return look.reading([])


READERS = {
    "tiny": tiny,
'''
LOOK = """
from datetime import datetime, UTC
from monitor.probes.upstream.statuspages import endpoints, READERS
print(endpoints("tiny", "https://status.acme.example/").main, "tiny" in READERS)
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


def replace(file: Path, before: str, after: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count(before) == 1, f"{file.name} has changed: mend the recipe in CONTRIBUTING and this test"
    file.write_text(text.replace(before, after), encoding="utf-8")


@pytest.mark.parametrize("what", ["probe kind", "vendor", "channel", "language", "status-page platform"])
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


def test_a_channel_is_one_file_and_one_row(copy: Path) -> None:
    (copy / "monitor" / "channels" / "pager.py").write_text(CHANNEL, encoding="utf-8")
    kinds = copy / "monitor" / "channels" / "__init__.py"
    replace(kinds, "import alertmanager, email, slack, webhook", "import alertmanager, email, pager, slack, webhook")
    replace(kinds, '    "slack": ', '    "pager": Kind(pager.Pager, pager.send),\n    "slack": ')
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


def test_a_status_page_platform_is_a_reader_and_an_address(copy: Path) -> None:
    upstream = copy / "monitor" / "probes" / "upstream"
    replace(upstream / "readers.py", "READERS = {\n", READER.lstrip())
    pages = upstream / "statuspages.py"
    replace(pages, 'Provider = Literal["statuspage", ', 'Provider = Literal["tiny", "statuspage", ')
    replace(pages, '    if provider == "better_stack":', '    if provider in ("better_stack", "tiny"):')
    done = run(copy, "-c", LOOK)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["https://status.acme.example/index.json", "True"]
    options = json.dumps({"provider": "tiny", "url": "https://status.acme.example/"})
    probes = f"[{{id: page, component: web, kind: upstream, options: {options}}}]"
    services = f"services: [{{id: acme, name: Acme, components: [{{id: web, name: Web}}], probes: {probes}}}]\n"
    known = check(copy, services)
    assert known.returncode == 0, known.stderr
