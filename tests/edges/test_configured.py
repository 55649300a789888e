"""What the prober tells the recorder of a configuration: all that it needs, and nothing of a probe's options."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.channels import KINDS
from monitor.config.load import load
from monitor.config.settled import Settings
from monitor.core.catalogue import Catalogue
from monitor.runtime.configured import heard, told
from monitor.runtime.messages import FROM_PROBER, Configured, FrameError, Receiver

EVERYTHING = """
locations: [frankfurt, tokyo]
label: from two places
allow_networks: [127.0.0.0/8]
policies: {strict: {shortest_outage: 10s, publish_major: review}}
services:
  - id: shop
    name: Shop
    components: [{id: web, name: Web, name_zh: 网页}, {id: job, name: Job, depends_on: [web]}]
    probes:
      - id: page
        component: web
        kind: http
        policy: strict
        options: {url: "https://shop.example/", secret_headers: {X-Key: "${PAGE_KEY}"}}
      - {id: backup, component: job, kind: heartbeat, options: {name: backup, every: 5m, token: "${JOB_TOKEN}"}}
      - {id: quiet, component: job, kind: heartbeat, options: {name: quiet, every: 5m}}
channels:
  hook: {kind: webhook, url: "${HOOK}", signing_secret: "${SIGNING}", headers: {X-Team: "${TEAM}"}, language: zh}
  chat: {kind: slack, url: "${HOOK}"}
  post: {kind: email, host: mail.example, sender: a@shop.example, to: [b@shop.example], password: "${MAIL}"}
  prom: {kind: alertmanager, url: "http://127.0.0.1:9093", token: "${TEAM}"}
  off: {kind: slack, url: "${NOBODY_SET_IT}"}
routes: [{id: all, channels: [hook, chat, post, prom, off], escalate_after: 5m}]
maintenance: [{id: move, service: shop, title: Moving, starts: "2027-02-07 02:00", lasts: 2h, repeat: monthly}]
"""
ENVIRON = {
    "PAGE_KEY": "sk-canary-4711",
    "JOB_TOKEN": "f00dfacef00dfacef00dface",
    "HOOK": "https://hook.example/T0K3N",
    "SIGNING": "whsec_c2VjcmV0",
    "TEAM": "team-canary",
    "MAIL": "mail-canary",
}


def test_the_recorder_hears_all_that_the_configuration_says_for_it(tmp_path: Path) -> None:
    path = tmp_path / "probes.yaml"
    path.write_text(EVERYTHING, encoding="utf-8")
    settled = load(path, ENVIRON, "tokyo").settled()
    message = FROM_PROBER.loads(FROM_PROBER.dumps(told(settled)))
    assert isinstance(message, Configured)
    assert heard(message) == settled
    assert {channel.kind for channel in settled.channels.values()} == set(KINDS), "every kind of channel is tried"
    assert settled.channels["off"].options is None
    assert settled.tokens == {"shop-backup": ENVIRON["JOB_TOKEN"]}
    assert set(settled.secrets) == set(ENVIRON.values())


def test_what_the_recorder_works_by_shows_no_secret_when_it_is_printed(tmp_path: Path) -> None:
    path = tmp_path / "probes.yaml"
    path.write_text(EVERYTHING, encoding="utf-8")
    settled = load(path, ENVIRON, "tokyo").settled()
    printed = repr(settled) + repr(told(settled))
    assert [name for name, secret in ENVIRON.items() if secret in printed] == []


@pytest.mark.parametrize("receiver", [Receiver("pigeon", "{}"), Receiver("slack", "{"), Receiver("slack", "{}")])
def test_a_channel_that_this_version_does_not_know_is_damage(receiver: Receiver) -> None:
    with pytest.raises(FrameError, match="channel"):
        heard(Configured(Catalogue(), Settings(), {"hook": receiver}))
