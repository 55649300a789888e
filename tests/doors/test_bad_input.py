"""Bad input: each kind of it is refused at once, with one line that says where and what, and an exit code."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.doors.test_cli import run

PROBE = """\
{top}
services:
  - id: s
    name: S
    components: [{{id: web, name: Web, kind: web}}]
    probes:
      - {{id: p, component: web, kind: http, interval: 60s, timeout: 5s, options: {{url: "{url}", {options}}}}}
{end}
"""
WORK = 'maintenance:\n  - {{id: m, service: s, title: T, starts: "{starts}", lasts: {lasts}, time_zone: "{zone}"}}'


def document(top: str = "", url: str = "https://x.example/", options: str = "", end: str = "") -> str:
    return PROBE.format(top=top, url=url, options=options, end=end)


def work(zone: str = "UTC", starts: str = "2027-02-07 02:00", lasts: str = "1h") -> str:
    return document(end=WORK.format(zone=zone, starts=starts, lasts=lasts))


def presets(*rows: str) -> str:
    return "services:\n" + "".join(f"  - {{{row}}}\n" for row in rows)


def second(kind: str, options: str) -> str:
    return document(end=f"      - {{id: c, component: web, kind: {kind}, options: {{{options}}}}}")


def chat(options: str) -> str:
    return second("chat", f"base_url: https://y.example/, model: m, {options}")


def hook(options: str) -> str:
    return document(end=f"channels:\n  hook: {{kind: webhook, {options}}}")


HEADERS = {
    "an end of line in a value": (document(options=r'headers: {X-A: "a\r\nB: c"}'), 7, "X-A"),
    "a line feed alone": (document(options=r'headers: {X-A: "a\nB: c"}'), 7, "X-A"),
    "an end of line in a name": (document(options=r'headers: {"X-A\r\nB": c}'), 7, "no name of a header"),
    "a zero byte": (document(options=r'headers: {X-A: "a\0"}'), 7, "X-A"),
    "a name of nothing": (document(options='headers: {"": c}'), 7, "no name of a header"),
    "a space in a name": (document(options='headers: {"X A": c}'), 7, "no name of a header"),
    "around a secret": (document(options=r'secret_headers: {X-A: "${K}\r\nB: c"}'), 7, "X-A"),
    "in a chat probe": (chat(r'headers: {X-A: "a\r\nB: c"}'), 8, "X-A"),
    "around a chat probe's secret": (chat(r'secret_headers: {X-A: "${K}\r\nB: c"}'), 8, "X-A"),
    "in a webhook": (hook(r'url: "${K}", headers: {"X-A\r\nB": "${K}"}'), 9, "no name of a header"),
    "in an address": (document(url=r"https://x.example/a\r\nHost: y"), 7, "no address has"),
}
NETWORKS = {
    "everything": (document(top="allow_networks: [0.0.0.0/0]"), 1, "too broad"),
    "everything of IPv6": (document(top='allow_networks: ["::/0"]'), 1, "too broad"),
    "both halves": (document(top="allow_networks: [0.0.0.0/1, 128.0.0.0/1]"), 1, '"128.0.0.0/1" is too broad'),
    "all of IPv4 as IPv6 maps it": (document(top='allow_networks: ["::ffff:0:0/96"]'), 1, "too broad"),
    "all of IPv4 behind NAT64": (document(top='allow_networks: ["64:ff9b::/96"]'), 1, "too broad"),
    "all of IPv4 as 6to4": (document(top='allow_networks: ["2002::/16"]'), 1, "too broad"),
    "all of IPv4 behind Teredo": (document(top='allow_networks: ["2001::/32"]'), 1, "too broad"),
    "what holds all of that": (document(top='allow_networks: ["2001::/16"]'), 1, "too broad"),
    "a cloud's credentials as IPv6 maps them": (
        document(top='allow_networks: ["::ffff:169.254.169.254/128"]'),
        1,
        "metadata",
    ),
    "a cloud's credentials behind NAT64": (
        document(top='allow_networks: ["64:ff9b::a9fe:a9fe/128"]'),
        1,
        "metadata",
    ),
    "a cloud's credentials": (document(top="allow_networks: [169.254.169.254/32]"), 1, "metadata"),
    "a host with a prefix": (document(top="allow_networks: [10.0.0.1/8]"), 1, "not a network"),
}
PRESETS = {
    "twice": (presets("preset: deepseek", "preset: deepseek"), 3, 'service "deepseek" stands here twice'),
    "three times": (presets(*["preset: deepseek"] * 3), 4, 'service "deepseek" stands here twice'),
    "twice under one name": (presets("preset: deepseek, id: a", "preset: deepseek, id: a"), 3, '"a" stands here twice'),
    "under the id of another": (presets("preset: deepseek", "preset: openai, id: deepseek"), 3, "stands here twice"),
    "beside one written out": (presets("preset: deepseek", "id: deepseek, name: D"), 3, "stands here twice"),
    "with a component of its own": (
        presets("preset: deepseek, components: [{id: web, name: W}]"),
        2,
        'component "deepseek/web" stands here twice',
    ),
}
ZONES = {
    "a continent": (work("Europe"), "there is no time zone Europe; name one in it, as Europe/"),
    "a continent and a slash": (work("America/"), "name one in it, as America/"),
    "a country of zones": (work("America/Argentina"), "as America/Argentina/"),
    "the machine's own": (work("localtime"), "there is no time zone localtime"),
    "a file of the system": (work("/etc/passwd"), "there is no time zone /etc/passwd"),
    "a way out of the folder": (work("../zoneinfo/UTC"), "there is no time zone"),
    "nothing": (work(""), "there is no time zone without a name"),
    "letters without end": (work("a" * 5_000), f"there is no time zone {'a' * 100}… write"),
    "small letters": (work("europe/berlin"), "there is no time zone europe/berlin"),
    "a window of a thousand years": (work(lasts="999999999d"), "is not a duration"),
    "a window at the end of time": (work("America/New_York", "9999-12-31 23:00"), "is not a time between"),
    "a window that ends too late": (work(starts="2199-12-31 23:00", lasts="30d"), "ends before 2200"),
}
PORTS = {
    "of a page": (document(url="https://x.example:65536/"), 7, "ports are 1 to 65535"),
    "zero": (document(url="https://x.example:0/"), 7, "ports are 1 to 65535"),
    "in words": (document(url="https://x.example:http/"), 7, "ports are 1 to 65535"),
    "of a chat API": (second("chat", "base_url: https://y.example:99999/, model: m"), 8, "ports"),
    "of a connection": (second("tcp", "host: x, port: 65536"), 8, "65535"),
    "of a handshake": (second("tls", "host: x, port: 0"), 8, "port"),
    "of our own page": (document(top='listen: {web: "127.0.0.1:65536"}'), 1, "no port above 65535"),
    "of our own metrics": (document(top='listen: {metrics: "[::1]:99999"}'), 1, "no port above 65535"),
    "of a receiver": (hook('url: "${FAR}"'), 9, "there is no port 70000"),
    "of a mail server": (
        document(end="channels:\n  m: {kind: email, host: x, port: 65536, sender: a@b.c, to: [a@b.c]}"),
        9,
        "65536",
    ),
    "of a link": (presets('preset: deepseek, status_page: "https://x.example:65536/"'), 2, "65535"),
}
NUMBERS = {
    "as YAML writes it": (document(top="policies: {default: {false_pages_per_year: .nan}}"), 1, "valid number"),
    "too large to be one": (document(top="policies: {default: {false_pages_per_year: 1e999}}"), 1, "too large"),
    "for money": (chat("budget_usd_day: 1e400"), 8, "too large"),
    "below zero and too large": (chat("usd_per_million_input: -1e999"), 8, "too large"),
    "a duration of centuries": (
        document(top="policies: {default: {recovery_window: 99999999999d}}"),
        1,
        "a hundred years",
    ),
}


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        pytest.param(*row, id=f"{kind}: {name}")
        for kind, rows in (
            ("header", HEADERS),
            ("network", NETWORKS),
            ("preset", PRESETS),
            ("time zone", {name: (text, 9, words) for name, (text, words) in ZONES.items()}),
            ("port", PORTS),
            ("number", NUMBERS),
        )
        for name, row in rows.items()
    ],
)
def test_what_the_file_must_not_say_is_refused_with_its_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    path = tmp_path / "probes.yaml"
    path.write_text(text)
    shown = run(tmp_path, "check", K="a-secret-of-some-length", FAR="https://token-in-the-path.example:70000/")
    assert shown.exit_code == 1, shown.output
    found = [told for told in shown.output.splitlines() if told.startswith(f"{path}:{line}: P") and words in told]
    assert len(found) == 1, shown.output
    assert "a-secret-of-some-length" not in shown.output
    assert "token-in-the-path" not in shown.output
    assert "Traceback" not in shown.output


SOUND = {
    "networks that people own": document(top='allow_networks: [10.0.0.0/8, 127.0.0.0/8, "fd00::/8", "::1/128"]'),
    "one preset for two accounts": presets("preset: deepseek", "preset: deepseek, id: second"),
    "headers in other scripts": document(options='headers: {X-A: "中文 and\ttabs"}'),
    "the last port": document(url="https://x.example:65535/"),
    "a door at any free port": document(top='listen: {web: "127.0.0.1:0"}'),
    "a zone of a country": work("America/Argentina/Ushuaia"),
}


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in SOUND.items()])
def test_what_lies_just_inside_the_bounds_is_taken(tmp_path: Path, text: str) -> None:
    (tmp_path / "probes.yaml").write_text(text)
    shown = run(tmp_path, "check")
    assert shown.exit_code == 0, shown.output


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """Return a folder with what is no file, or no file of ours."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link-to-pipe").symlink_to("pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").touch()
    (tmp_path / "deep").write_text("[" * 5_000)
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
    return tmp_path


NO_FILES = ("pipe", "link-to-pipe", "loop", "folder", "empty", "deep", "binary", "socket", "missing")
SYSTEM = ("/etc/passwd", "/dev/zero", "/dev/null", "/proc/self/environ", "/proc/self/mem", "/proc/kallsyms")
READERS = {
    "restore": ("restore", "{file}", "--force"),
    "replay": ("replay", "{file}"),
    "replay with seeds": ("replay", "{file}", "--seeds", "2"),
    "simulate": ("simulate", "--scenario", "{file}", "--port", "0"),
    "demo": ("demo", "--scenario", "{file}", "--days", "0"),
    "check": ("check", "--config", "{file}"),
}


@pytest.mark.parametrize("name", [*NO_FILES, *SYSTEM])
@pytest.mark.parametrize("command", [pytest.param(words, id=name) for name, words in READERS.items()])
def test_what_is_no_file_of_ours_is_refused_at_once(shelf: Path, command: tuple[str, ...], name: str) -> None:
    file = str(shelf / name)
    shown = run(shelf, *(word.format(file=file) for word in command))
    assert shown.exit_code in (1, 2), shown.output
    assert shown.exception is None or isinstance(shown.exception, SystemExit)
    told = [line for line in shown.output.splitlines() if file in line]
    assert len(told) == 1, shown.output
    assert len(told[0]) < 300
    assert "root:" not in shown.output, "a file of the system is not repeated"
    assert not (shelf / "cli.db").exists(), "nothing was restored"


@pytest.mark.parametrize("number", ["nan", "-nan", "inf", "-inf", "0", "-1", "1e999", "fast"])
@pytest.mark.parametrize("command", ["simulate", "demo"])
def test_a_speed_that_is_no_speed_is_refused(tmp_path: Path, command: str, number: str) -> None:
    shown = run(tmp_path, command, "--speed", number)
    assert shown.exit_code == 2, shown.output
    assert "Invalid value for '--speed'" in shown.output


@pytest.mark.parametrize("number", ["nan", "inf", "1e999"])
def test_a_past_of_no_length_is_refused(tmp_path: Path, number: str) -> None:
    shown = run(tmp_path, "backtest", "--days", number)
    assert shown.exit_code == 2
    assert "Invalid value for '--days'" in shown.output


@pytest.mark.parametrize("speed", [".nan", ".inf", "-.inf", "0", "-1", "1e999", "fast"])
def test_a_scenario_at_no_speed_is_refused_with_its_line(tmp_path: Path, speed: str) -> None:
    path = tmp_path / "story.yaml"
    path.write_text(f"title: T\nspeed: {speed}\nsteps: [{{at: 1s}}]\n")
    shown = run(tmp_path, "simulate", "--scenario", str(path), "--port", "0")
    assert shown.exit_code == 1
    assert shown.output.startswith(f"chatwatch: {path}:2: speed: ")
    assert len(shown.output.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("silence", "add", "--everything", "--for", "99999999999999999d"), "a hundred years"),
        (("maintenance", "add", "s", "--title", "T", "--from", "9999-12-31T23:00+00:00", "--for", "1h"), "2200"),
        (("maintenance", "add", "s", "--title", "T", "--from", "0001-01-01T00:00+14:00", "--for", "1h"), "1999"),
        (("simulate", "--port", "65536"), "65535"),
    ],
)
def test_a_slip_on_the_command_line_is_told_as_one(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    shown = run(tmp_path, *words)
    assert shown.exit_code == 2, shown.output
    assert said in shown.output
