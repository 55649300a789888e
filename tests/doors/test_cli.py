"""The command line: help with examples, one-line errors, and exit codes that scripts can rely on."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from monitor.cli import COMMANDS, chatwatch
from monitor.cli.common import number
from monitor.simulator.play import serve
from tests.doors.running import free_port
from tests.edges.chat_shapes import OPENAI
from tests.edges.hostile import serve as serve_raw
from tests.edges.mailing import MailServer, serving
from tests.edges.probing import replays

PROBES = """\
allow_networks: [127.0.0.0/8]
services:
  - id: sim
    name: Simulated
    components: [{{id: web, name: Web chat, kind: web}}]
    probes:
      - {{id: page, component: web, kind: http, interval: 30s, timeout: 5s, options: {{url: "{url}/"}}}}
      - {{id: gone, component: web, kind: tcp, interval: 30s, timeout: 5s, options: {{host: 127.0.0.1, port: 9}}}}
      - id: chat
        component: web
        kind: chat
        interval: 60s
        timeout: 9s
        options: {{base_url: "{url}/v1", model: m, key: "${{K}}"}}
"""
SAID = """
      - id: said
        component: web
        kind: upstream
        interval: 60s
        options: {{provider: statuspage, url: "{url}/status"}}
"""


def commands() -> Iterator[tuple[list[str], click.Command]]:
    """Walk every visible command, subcommands included."""
    context = click.Context(chatwatch)
    for name in chatwatch.list_commands(context):
        command = chatwatch.get_command(context, name)
        assert command is not None
        if command.hidden:
            continue
        yield [name], command
        for below, inner in getattr(command, "commands", {}).items():
            yield [name, below], inner


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "probes.yaml").write_text(PROBES.format(url="http://127.0.0.1:9"))
    return tmp_path


def run(home: Path, *words: str, typed: str = "", **environ: str) -> Result:
    own = {"CHATWATCH_DATABASE": f"sqlite:///{home / 'cli.db'}", "CHATWATCH_CONFIG": str(home / "probes.yaml")}
    return CliRunner().invoke(chatwatch, list(words), input=typed, env={**own, **environ})


@pytest.mark.parametrize(("words", "command"), [pytest.param(*row, id=" ".join(row[0])) for row in commands()])
def test_every_command_explains_itself_with_an_example(words: list[str], command: click.Command) -> None:
    shown = CliRunner().invoke(chatwatch, [*words, "--help"])
    assert shown.exit_code == 0
    assert f"chatwatch {' '.join(words)}" in shown.output.split("Example:")[1]
    assert command.help
    assert isinstance(command, click.Group) or {"--log-level", "--log-format"} <= set(shown.output.split())


def test_every_command_of_the_table_exists() -> None:
    context = click.Context(chatwatch)
    assert all(chatwatch.get_command(context, name) for name in COMMANDS)


def test_a_mistyped_command_is_told_the_nearest(home: Path) -> None:
    shown = run(home, "chek")
    assert shown.exit_code == 2
    assert 'did you mean "check"?' in shown.output


def test_check_shows_what_the_file_expands_to(home: Path) -> None:
    shown = run(home, "check")
    assert shown.exit_code == 0
    assert "sim-page" in shown.output
    assert "off: secret K is not set" in shown.output
    assert "Nobody is told of anything" in shown.output


def test_check_prints_for_each_probe_from_which_length_on_an_outage_is_told(home: Path) -> None:
    (home / "probes.yaml").write_text(
        "policies: {hasty: {shortest_outage: 1s, failure_ratio: 0.45}}\n"
        "services: [{id: shop, name: Shop, components: [{id: b, name: B}], probes: ["
        "{id: calm, component: b, kind: tcp, interval: 30s, timeout: 10s, options: {host: a.example, port: 443}},"
        "{id: quick, component: b, kind: tcp, interval: 10s, timeout: 2s, policy: hasty,"
        " options: {host: a.example, port: 443}}]}]\n"
    )
    shown = run(home, "check")
    assert shown.exit_code == 0, shown.output
    told = " ".join(shown.output.split())
    assert "every outage longer than 100 s is notified within 105 s, none shorter than 25 s ever is (35 s less" in told
    assert "402 extra looks a day" in told
    assert "every outage longer than 22 s is notified within 27 s" in told


def test_check_names_faults_with_line_and_id_and_exits_with_one(home: Path) -> None:
    path = home / "probes.yaml"
    path.write_text(path.read_text().replace("interval: 30s", "interval: 30"))
    shown = run(home, "check")
    assert shown.exit_code == 1
    assert f"{path}:7: P013" in shown.output
    assert "2 faults" in shown.output
    found = json.loads(run(home, "check", "--json").output)
    assert {(fault["line"], fault["id"]) for fault in found["faults"]} == {(7, "P013"), (8, "P013")}


def test_the_shipped_configuration_is_sound_and_needs_no_key() -> None:
    shipped = Path(__file__).parents[2] / "probes.yaml"
    shown = CliRunner().invoke(chatwatch, ["check", "--config", str(shipped), "--json"], env={"DEEPSEEK_API_KEY": None})
    probes = json.loads(shown.output)["probes"]
    assert shown.exit_code == 0
    off = {probe["id"] for probe in probes if probe["disabled"]}
    assert {"deepseek-api-chat", "openai-api-chat", "anthropic-api-chat"} >= off
    for service in ("deepseek", "openai", "anthropic"):
        kinds = {
            probe["kind"] for probe in probes if probe["component"].startswith(f"{service}/") and not probe["disabled"]
        }
        assert kinds >= {"http", "registration", "upstream"}
        assert ("login" in kinds) is (service == "deepseek"), "the others' log-in pages can say nothing"


def test_check_says_what_nobody_has_verified_and_breaks_no_id() -> None:
    shipped = Path(__file__).parents[2] / "probes.yaml"
    wide = CliRunner().invoke(chatwatch, ["check", "--config", str(shipped)], env={"COLUMNS": "80"})
    assert max(map(len, wide.output.splitlines())) <= 80
    assert "    deepseek-signup-notice\n" in wide.output
    found = json.loads(CliRunner().invoke(chatwatch, ["check", "--config", str(shipped), "--json"]).output)
    assert {"service": "deepseek", "field": "probes.signup-notice", "source": "as vendor-page (2026-11-23)"} in found[
        "unverified"
    ]
    assert "not verified: probes.signup-notice: as vendor-page (2026-11-23)" in wide.output


def test_check_expands_a_preset_to_every_option_and_tells_where_each_is_from(home: Path) -> None:
    (home / "probes.yaml").write_text("services: [{preset: deepseek}]\n")
    shown = run(home, "check", "--expand", DEEPSEEK_API_KEY="sk-canary-0815").output
    for line in ('base_url: "https://api.deepseek.com"', "usd_per_million_output: 1.2", 'key: "**********"'):
        assert f"        {line}\n" in shown
    flat = " ".join(shown.split())
    assert "probes.api-chat.options.balance_url: api-docs.deepseek.com/api/get-user-balance (2026-11-23)" in flat
    assert "canary" not in shown
    assert "base_url" not in run(home, "check").output
    found = json.loads(run(home, "check", "--json").output)["sources"]
    assert {"probes.web-page", "parameters.model", "service"} <= {fact["field"] for fact in found}


def test_facts_of_probes_that_are_left_out_are_not_shown(home: Path) -> None:
    (home / "probes.yaml").write_text(
        "services: [{preset: deepseek, without: [api-chat, registration, vendor-page]}]\n"
    )
    assert "not verified" not in run(home, "check").output


def test_probe_looks_once_and_its_exit_code_tells_good_from_bad(home: Path) -> None:
    async def play() -> list[Result]:
        async with serve() as vendor:
            (home / "probes.yaml").write_text((PROBES + SAID).format(url=vendor.url))
            ways = [
                ["sim-page"],
                ["sim-page", "--explain"],
                ["sim-page", "--json"],
                ["sim-chat", "--explain"],
                ["sim-gone"],
                ["sim-said", "--explain"],
            ]
            return [await asyncio.to_thread(run, home, "probe", *words, K="sk-canary-0815") for words in ways]

    line, explained, as_json, chat, gone, said = asyncio.run(play())
    assert (line.exit_code, line.output.split()[:3]) == (0, ["sim-page", "ok", "ok"])
    for word in ("connect", "wait", "Address", "Reason", "Rules"):
        assert word in explained.output
    document = json.loads(as_json.output)
    assert (document["observation"]["http_status"], document["outcome"], document["scope"]) == (200, "ok", "none")
    assert "good looks" in document["rules"]
    assert "ttft_s" in chat.output
    assert "to token" in chat.output
    assert "Vendor's page" in said.output
    assert not any(word in said.output for word in ("Fidelity", "connect  ", " ms"))
    assert all(len(text) <= 80 for text in explained.output.splitlines())
    assert gone.exit_code == 2
    assert "service.connect" in gone.output
    assert all("canary" not in shown.output for shown in (line, explained, as_json, chat, gone, said))


def test_a_look_shows_the_vendors_rate_limits_and_no_key_in_them(home: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-ratelimit-remaining-requests: 59\r\n"
    echoed = b"x-ratelimit-reset-requests: sk-canary-0815\r\nconnection: close\r\n\r\n"

    async def play(*words: str) -> Result:
        async with serve_raw(replays(head + echoed, *OPENAI.answer())) as port:
            (home / "probes.yaml").write_text(PROBES.format(url=f"http://127.0.0.1:{port}"))
            return await asyncio.to_thread(run, home, "probe", "sim-chat", *words, K="sk-canary-0815")

    told, document = asyncio.run(play("--explain")), asyncio.run(play("--json"))
    assert "x-ratelimit-remaining-requests: 59" in " ".join(told.output.split())
    assert json.loads(document.output)["rate_limits"]["x-ratelimit-remaining-requests"] == "59"
    assert "canary" not in told.output + document.output


def test_an_unknown_probe_is_one_line_with_the_nearest(home: Path) -> None:
    shown = run(home, "probe", "sim-pge")
    assert shown.exit_code == 1
    assert shown.output.count("\n") == 1
    assert 'did you mean "sim-page"?' in shown.output


def test_a_probe_that_is_switched_off_says_why(home: Path) -> None:
    shown = run(home, "probe", "sim-chat")
    assert shown.exit_code == 1
    assert "secret K is not set" in shown.output


def test_a_user_is_added_from_standard_input_and_listed(home: Path) -> None:
    assert "may use" in run(home, "user", "add", "alice", "--stdin", typed="long enough\n").output
    assert "alice" in run(home, "user", "list").output
    short = run(home, "user", "add", "bob", "--stdin", typed="short\n")
    assert short.exit_code == 1
    assert short.output.startswith("chatwatch: ")
    assert run(home, "user", "disable", "alice").exit_code == 0
    assert "(disabled)" in run(home, "user", "list").output


def test_a_silence_is_added_listed_and_ended(home: Path) -> None:
    refused = run(home, "silence", "add", "--for", "30m")
    assert refused.exit_code == 1
    added = run(home, "silence", "add", "--for", "30m", "--service", "sim", "--as", "alice", "--why", "known")
    assert added.exit_code == 0, added.output
    listed = run(home, "silence", "list").output
    assert "sim" in listed
    assert "by alice: known" in listed
    assert run(home, "silence", "end", added.output.strip()).exit_code == 0
    assert run(home, "silence", "list").output == ""


def test_a_duration_without_a_unit_is_refused_on_the_command_line(home: Path) -> None:
    shown = run(home, "silence", "add", "--for", "30", "--service", "sim")
    assert shown.exit_code == 2
    assert "unit" in shown.output


def test_what_does_not_exist_is_one_line(home: Path) -> None:
    for words in (["incident", "resolve", "nothing"], ["alert", "ack", "nothing"]):
        shown = run(home, *words)
        assert shown.exit_code == 1
        assert shown.output.startswith("chatwatch: ")
        assert shown.output.count("\n") == 1


def test_a_backup_can_be_restored(home: Path) -> None:
    run(home, "user", "add", "alice", "--stdin", typed="long enough\n")
    assert run(home, "backup", str(home / "copy.db")).exit_code == 0
    assert run(home, "backup", str(home / "copy.db")).exit_code == 1
    run(home, "user", "disable", "alice")
    asked = run(home, "restore", str(home / "copy.db"))
    assert (asked.exit_code, "--force" in asked.output) == (1, True)
    assert "The database holds 0 results, 0 incidents, 0 alerts" in asked.output
    assert "(disabled)" in run(home, "user", "list").output
    assert run(home, "restore", str(home / "copy.db"), "--force").exit_code == 0
    assert "(disabled)" not in run(home, "user", "list").output
    (home / "torn.db").write_bytes(b"no database at all")
    torn = run(home, "restore", str(home / "torn.db"), "--force")
    assert (torn.exit_code, torn.output.count("\n"), "damaged" in torn.output) == (1, 1, True)
    with sqlite3.connect(home / "cli.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()


def test_the_diagram_is_printed_from_the_table(home: Path) -> None:
    assert "stateDiagram" in run(home, "diagram").output


def test_a_database_address_that_cannot_be_right_is_told_before_anything_starts(home: Path) -> None:
    shown = run(home, "worker", CHATWATCH_DATABASE="mysql://chatwatch:canary@db/x")
    assert shown.exit_code == 1
    assert "canary" not in shown.output


def test_doctor_names_what_is_wrong_and_what_to_do(home: Path) -> None:
    shown = run(home, "doctor")
    assert shown.exit_code == 1
    assert "control targets: none: name some under controls" in shown.output
    assert "database can be written" in shown.output


def test_doctor_connects_to_each_receiver_and_tells_which_the_guard_refuses(home: Path) -> None:
    server = MailServer()
    relay = "kind: email, host: 127.0.0.1, security: none, sender: a@example.org, to: [b@example.org]"
    with serving(server) as port:
        channels = f"channels:\n  relay: {{{relay}, port: {port}}}\n  hook: {{kind: webhook, url: '${{HOOK}}'}}\n"
        channels += "  off: {kind: slack, url: '${NOT_SET}'}\n"
        file = home / "probes.yaml"
        before = file.read_text()
        file.write_text(before + channels)
        given = {"HOOK": "http://169.254.169.254/canary"}
        allowed = run(home, "doctor", **given).output
        file.write_text(before.replace("allow_networks: [127.0.0.0/8]", "") + channels)
        refused = run(home, "doctor", **given).output
    assert "channel relay: its receiver can be reached" in allowed
    assert "channel relay: its receiver cannot be reached (address refused: loopback" in refused
    assert "channel hook: its receiver cannot be reached (address refused: a cloud metadata service" in allowed
    assert "channel off is switched off: secret NOT_SET" in allowed
    assert "canary" not in allowed + refused
    assert (server.connections, server.heard) == (1, [])


def test_no_environment_of_ours_leaks_into_the_help() -> None:
    assert str(Path.home()) not in CliRunner().invoke(chatwatch, ["check", "--help"]).output
    assert os.sep + "probes.yaml" not in CliRunner().invoke(chatwatch, ["up", "--help"]).output


def test_a_restriction_to_a_country_is_shown_with_the_countrys_name(home: Path) -> None:
    async def play() -> Result:
        async with serve() as vendor:
            vendor.set(registration="phone_86")
            options = f"{{detector: page_text, url: '{vendor.url}/sign_up'}}"
            probe = f"{{id: sign, component: reg, kind: registration, interval: 5m, timeout: 5s, options: {options}}}"
            part = "{id: reg, name: Sign-up, kind: registration}"
            service = f"{{id: sim, name: Sim, components: [{part}], probes: [{probe}]}}"
            (home / "probes.yaml").write_text(f"services: [{service}]\nallow_networks: [127.0.0.0/8]\n")
            return await asyncio.to_thread(run, home, "probe", "sim-sign", "--explain")

    assert "phone: restricted (China (+86) only)" in " ".join(asyncio.run(play()).output.split())


def test_a_server_that_is_away_is_named_with_the_way_to_mend_it(home: Path) -> None:
    port = free_port()
    environ = os.environ | {"CHATWATCH_DATABASE": f"postgresql://bob:hunter2@127.0.0.1:{port}/chatwatch"}
    command = [sys.executable, "-m", "monitor", "migrate"]
    done = subprocess.run(command, cwd=home, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"chatwatch: the database postgresql://bob@127.0.0.1:{port}/chatwatch cannot be used: connection failed: "
        f'connection to server at "127.0.0.1", port {port} failed: Connection refused; '
        "start it, or correct CHATWATCH_DATABASE"
    )
    assert "hunter2" not in done.stderr


def test_a_backup_that_is_not_there_is_told_before_anything_is_asked(home: Path) -> None:
    assert run(home, "migrate").exit_code == 0
    done = run(home, "restore", "/nowhere/backup.db")
    assert done.exit_code == 1
    assert done.output == "chatwatch: no backup at /nowhere/backup.db: name a file that chatwatch backup wrote\n"


def test_one_is_told_in_the_singular() -> None:
    assert [number(count, "probe") for count in (0, 1, 2353)] == ["0 probes", "1 probe", "2,353 probes"]
