"""``chatwatch vendors``: what the presets know, and an audit against a real server on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from monitor.cli import chatwatch
from monitor.config.presets import preset_names


def summary(*rows: dict[str, Any]) -> bytes:
    parts = [{"status": "operational", "group": False, "group_id": None} | row for row in rows]
    status = {"indicator": "none", "description": ""}
    return json.dumps({"page": {"id": "p"}, "status": status, "components": parts, "incidents": []}).encode()


PAGES = {
    "/good/api/v2/summary.json": summary({"id": "a", "name": "API"}, {"id": "w", "name": "Web"}),
    "/changed/api/v2/summary.json": summary(
        {"id": "l1", "name": "Login"}, {"id": "l2", "name": "Login"}, {"id": "n", "name": "Brand new"},
        {"id": "g", "name": "Models", "group": True}, {"id": "m1", "name": "Small", "group_id": "g"},
    ),
    "/html/api/v2/summary.json": b"<!doctype html><html>Welcome</html>",
    "/edge": b"{}",
}  # fmt: skip


class Vendor(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/away":
            self.send_response(301)
            self.send_header("location", f"http://localhost:{self.headers['host'].rpartition(':')[2]}/edge")
            self.send_header("content-length", "0")
            self.end_headers()
            return
        body = PAGES.get(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("content-length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the standard library's name
        pass


@pytest.fixture(scope="module")
def vendor() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Vendor) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(chatwatch, ["vendors", *arguments], env={"COLUMNS": "160"})


def configured(folder: Path, *probes: dict[str, Any]) -> str:
    common = {"component": "api", "interval": "60s", "timeout": "5s"}
    components = [{"id": "api", "name": "API", "kind": "api"}, {"id": "login", "name": "Log-in", "kind": "login"}]
    service = {"id": "acme", "name": "Acme", "url": "https://acme.example/", "components": components}
    service["probes"] = [{"id": f"p{number}"} | common | probe for number, probe in enumerate(probes)]
    file = folder / "probes.yaml"
    document = {"allow_networks": ["127.0.0.0/8", "::1/128"], "services": [service]}
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    return str(file)


def page(url: str, **options: Any) -> dict[str, Any]:
    return {"kind": "upstream", "options": {"provider": "statuspage", "url": url} | options}


def findings(result: Result) -> list[tuple[str, str]]:
    return [(row["what"], row["subject"]) for row in json.loads(result.output)["findings"]]


def test_the_list_has_every_preset_with_what_is_doubted_and_how_old_it_is() -> None:
    rows = json.loads(run("list", "--json").output)
    assert [row["preset"] for row in rows] == preset_names()
    by_name = {row["preset"]: row for row in rows}
    assert {by_name[name]["kind"] for name in ("deepseek", "openai")} == {"chat service"}
    assert (by_name["vllm"]["kind"], by_name["codex"]["kind"]) == ("your own server", "the vendor's word only")
    assert (by_name["groq"]["kind"], by_name["azure_openai"]["kind"]) == ("API", "API")
    assert all(row["facts"] >= row["unverified"] and row["oldest_days"] is not None for row in rows)
    plain = run("list").output
    assert len(plain.splitlines()) == len(rows)


def test_each_fact_is_shown_with_value_source_age_and_doubt_beside_what_it_feeds() -> None:
    shown = run("show", "deepseek").output
    assert "parameters.model: deepseek-flash" in shown
    assert "days old)" in shown
    assert "not verified; it feeds signup-banner" in shown
    facts = {fact["field"]: fact for fact in json.loads(run("show", "deepseek", "--json").output)["facts"]}
    price = facts["parameters.usd_per_million_input"]
    assert (price["value"], price["feeds"], price["date"]) == (0.3, ["api-chat"], "2026-11-23")
    assert facts["probes.vendor-page"]["verified"] is False
    wrong = run("show", "depseek")
    assert (wrong.exit_code, wrong.stderr.strip()) == (1, 'chatwatch: no preset "depseek": did you mean "deepseek"?')


def test_a_page_that_is_as_configured_is_no_finding(vendor: str, tmp_path: Path) -> None:
    probe = page(f"{vendor}/good", components={"a": "api"}, unmapped=["Web"])
    edge = {"kind": "http", "options": {"url": f"{vendor}/edge"}}
    result = run("audit", "--config", configured(tmp_path, probe, edge))
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, "2 of 2 looks answered, 0 findings")


def test_new_components_are_named_and_are_no_fault(vendor: str, tmp_path: Path) -> None:
    result = run("audit", "--json", "--config", configured(tmp_path, page(f"{vendor}/good", components={"a": "api"})))
    assert (result.exit_code, findings(result)) == (0, [("new", "w")])


def test_what_vanished_and_what_is_ambiguous_is_named_with_the_ids_to_write(vendor: str, tmp_path: Path) -> None:
    mapping = {"a": "api", "Login": "login", "Models": "api"}
    result = run("audit", "--json", "--config", configured(tmp_path, page(f"{vendor}/changed", components=mapping)))
    assert result.exit_code == 2
    assert findings(result) == [("vanished", "a"), ("ambiguous", "Login"), ("new", "n")]
    assert json.loads(result.output)["findings"][1]["detail"] == "write an id: l1, l2"


def test_a_host_that_moved_and_a_page_that_is_no_page_are_faults(vendor: str, tmp_path: Path) -> None:
    away = {"kind": "http", "options": {"url": f"{vendor}/away", "redirects": 3}}
    result = run("audit", "--json", "--config", configured(tmp_path, away, page(f"{vendor}/html")))
    assert result.exit_code == 2
    assert [what for what, _subject in findings(result)] == ["moved", "unreadable"]
    assert json.loads(result.output)["findings"][0]["detail"].startswith("leads to localhost")


def test_without_a_network_one_line_says_so(tmp_path: Path) -> None:
    config = configured(
        tmp_path, page("http://127.0.0.1:9/"), {"kind": "http", "options": {"url": "http://127.0.0.1:9/"}}
    )
    result = run("audit", "--config", config)
    assert (result.exit_code, result.output) == (
        3,
        "nothing could be reached: is there a network? Dates alone were looked at.\n",
    )
    told = json.loads(run("audit", "--json", "--config", config).output)
    assert (told["offline"], told["asked"], told["answered"], told["findings"]) == (True, 2, 0, [])


def test_facts_that_nobody_looked_up_for_long_are_named_and_whether_anybody_ever_did() -> None:
    result = run("audit", "xai", "--offline", "--within", "3", "--json")
    found = {row["subject"]: row["detail"] for row in json.loads(result.output)["findings"]}
    assert result.exit_code == 2
    assert found["parameters.key"].endswith("days old")
    assert found["probes.api-edge"].endswith("days old, never verified")
    assert run("audit", "xai", "--offline", "--within", "100000").exit_code == 0


def test_an_audit_of_ones_own_server_asks_for_the_file_that_names_it(tmp_path: Path) -> None:
    assert "audit it with --config probes.yaml" in run("audit", "vllm").stderr
    strange = run("audit", "acm", "--config", configured(tmp_path, page("http://127.0.0.1:9/")))
    assert 'no service "acm"' in strange.stderr
    assert "acme" in strange.stderr


def test_help_has_examples() -> None:
    for name in ("list", "show", "audit"):
        assert f"chatwatch vendors {name}" in run(name, "--help").output
