"""What Prometheus reads: blackbox names, nothing stale, nothing of a vendor's text, and never a broken scrape."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import threading
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, date, datetime, timedelta
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import httpx
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from monitor.core.catalogue import Catalogue, Component, ComponentKind, Probe, Service
from monitor.core.entities import MethodState, PlaceState
from monitor.core.model.alerting import Sending
from monitor.core.model.observations import Certificate, ChatTimes, Evidence, Observation, Phases, Result, RunId
from monitor.core.model.reasons import Reason
from monitor.core.model.registration import Method, PlaceWord, Registration, Source
from monitor.core.model.states import Health
from monitor.core.model.upstream import UpstreamReading
from monitor.recorder.metrics import Seen, fnv1a, registry_for
from monitor.recorder.scrape import application
from monitor.store.reads.views import ComponentView, RegistrationView, ServiceView, Snapshot, Uptime

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
HOSTILE = 'evil"\n\u202e{}'


def catalogue() -> Catalogue:
    return Catalogue(
        (Service("shop", "Shop"),),
        (Component("shop/web", "shop", "Web", ComponentKind.WEB), Component("shop/chat", "shop", "Chat")),
        (
            Probe("shop-page", "shop/web", "http", 30, 5.0, target="shop.example"),
            Probe("shop-chat", "shop/chat", "chat", 60, 30.0, target="api.shop.example"),
            Probe("shop-off", "shop/chat", "chat", 60, 30.0, disabled="secret K is not set"),
        ),
    )


def look(probe: str, reason: Reason = Reason.OK, age_s: float = 5.0, **seen: Any) -> Result:
    at = NOW - timedelta(seconds=age_s)
    return Result(RunId(probe, "local", at), at, 0.25, Observation(reason, **seen))


def page(**named: Any) -> Result:
    certificate = Certificate(NOW + timedelta(days=9), HOSTILE, HOSTILE, "ab" * 32, trusted=True)
    phases = Phases(dns_s=0.01, connect_s=0.02, tls_s=0.03, wait_s=0.1, transfer_s=0.04)
    full = {"http_status": 200, "http_version": "HTTP/1.1", "address": "192.0.2.7", "phases": phases}
    return look("shop-page", **{**full, "certificate": certificate, "detail": HOSTILE, **named})


def chat() -> Result:
    times = ChatTimes(ttft_s=0.4, tokens_per_s=31.0, model=HOSTILE)
    return look(
        "shop-chat",
        http_status=200,
        chat=times,
        phases=Phases(wait_s=0.2, transfer_s=9.0),
        evidence=Evidence(excerpt=HOSTILE),
    )


def snapshot() -> Snapshot:
    uptime = Uptime(100, 90, 5, 5, 0, 0)
    method = MethodState(
        Method.PHONE, Registration.RESTRICTED, NOW, NOW, Source.OFFICIAL_TEXT, ("86",), excerpt=HOSTILE
    )
    registration = RegistrationView(Health.PARTIAL, (method,))
    parts = [
        ComponentView(
            f"shop/{name}",
            "shop",
            name,
            {},
            ComponentKind.WEB,
            health,
            NOW,
            NOW,
            Reason.OK,
            HOSTILE,
            False,
            (),
            uptime,
            None,
            known,
        )
        for name, health, known in (("web", Health.MAJOR, registration), ("chat", Health.UNKNOWN, None))
    ]
    service = ServiceView("shop", "Shop", "", "", Health.MAJOR, tuple(parts), None, uptime)
    return Snapshot(NOW, NOW, False, (), (service,), (), (), ())


@pytest.fixture
def seen() -> Seen:
    known = Seen(lambda: NOW, catalogue(), snapshot=snapshot(), snapshot_at=NOW, prober_heard_at=NOW, stored_at=NOW)
    known.take(page())
    known.take(chat())
    return known


def exposed(seen: Seen) -> str:
    return generate_latest(registry_for(seen)[0]).decode()


def sample(text: str, name: str, **labels: str) -> float | None:
    """Return the value of the one sample of that name whose labels include these."""
    for line in text.splitlines():
        if re.match(rf"{name}[{{ ]", line) and all(f'{key}="{value}"' in line for key, value in labels.items()):
            return float(line.rpartition(" ")[2])
    return None


def test_a_status_page_that_was_read_and_not_timed_has_no_phases_of_zero_seconds() -> None:
    witness = Probe("shop-said", "shop/web", "upstream", 60, 10.0, speaks_http=True, witness=True)
    said = UpstreamReading("statuspage", "https://status.shop.example", Health.OPERATIONAL)
    known = Seen(lambda: NOW, replace(catalogue(), probes=(witness,)))
    known.take(look("shop-said", http_status=200, address="192.0.2.7", upstream=said))
    text = exposed(known)
    assert sample(text, "probe_success", instance="shop-said") == 1
    assert sample(text, "probe_duration_seconds", instance="shop-said") == 0.25
    assert sample(text, "probe_http_status_code", instance="shop-said") == 200
    assert "probe_http_duration_seconds" not in text


def test_a_look_is_shown_under_the_names_of_blackbox_exporter(seen: Seen) -> None:
    text = exposed(seen)
    assert sample(text, "probe_success", instance="shop-page") == 1
    assert sample(text, "probe_duration_seconds", instance="shop-page") == 0.25
    assert sample(text, "probe_http_status_code", instance="shop-page") == 200
    assert sample(text, "probe_ssl_earliest_cert_expiry", instance="shop-page") == (NOW + timedelta(days=9)).timestamp()
    phases = {"resolve": 0.01, "connect": 0.02, "tls": 0.03, "processing": 0.1, "transfer": 0.04}
    for phase, value in phases.items():
        assert sample(text, "probe_http_duration_seconds", instance="shop-page", phase=phase) == value


def test_the_generation_of_an_answer_is_no_transfer_time(seen: Seen) -> None:
    text = exposed(seen)
    assert sample(text, "probe_http_duration_seconds", instance="shop-chat", phase="transfer") == 0
    assert sample(text, "chatwatch_probe_ttft_seconds", instance="shop-chat") == 0.4


def test_a_failure_is_zero_and_what_could_not_be_told_is_neither(seen: Seen) -> None:
    seen.newest.clear()
    seen.take(page(reason=Reason.SERVER_ERROR))
    seen.take(look("shop-chat", Reason.AUTH))
    text = exposed(seen)
    assert sample(text, "probe_success", instance="shop-page") == 0
    assert sample(text, "probe_success", instance="shop-chat") is None
    assert sample(text, "chatwatch_probe_reason_info", instance="shop-chat", reason="account.auth") == 1


def test_what_is_too_old_has_no_sample_but_its_time(seen: Seen) -> None:
    seen.newest.clear()
    seen.take(page(age_s=3 * 30 + 6.0))
    text = exposed(seen)
    assert sample(text, "probe_success", instance="shop-page") is None
    assert sample(text, "chatwatch_probe_last_run_timestamp_seconds", instance="shop-page") is not None


def test_a_missed_look_does_not_move_the_time_of_the_last(seen: Seen) -> None:
    seen.take(look("shop-page", Reason.LATE, age_s=0.0))
    assert sample(exposed(seen), "chatwatch_probe_last_run_timestamp_seconds", instance="shop-page") is None


def test_a_removed_probe_has_no_series(seen: Seen) -> None:
    assert "shop/web" in exposed(seen)
    seen.catalogue = replace(seen.catalogue, probes=seen.catalogue.probes[1:])
    text = exposed(seen)  # the snapshot was read before
    assert "shop-page" not in text
    assert "shop/web" not in text


def test_a_probe_that_is_switched_off_is_counted_and_has_no_series(seen: Seen) -> None:
    text = exposed(seen)
    assert sample(text, "chatwatch_probes", state="disabled") == 1
    assert "shop-off" not in text


def test_components_and_registration_are_shown_and_unknown_is_no_number(seen: Seen) -> None:
    text = exposed(seen)
    assert sample(text, "chatwatch_component_health", component="shop/web") == 3
    assert sample(text, "chatwatch_component_health", component="shop/chat") is None
    assert sample(text, "chatwatch_component_known", component="shop/chat") == 0
    assert sample(text, "chatwatch_component_uptime_ratio", component="shop/web") == 0.95
    states = {
        state: sample(text, "chatwatch_registration_state", method="phone", state=state) for state in Registration
    }
    assert states == {state: float(state is Registration.RESTRICTED) for state in Registration}
    assert sample(text, "chatwatch_incidents", service="shop", impact="major") == 0


def test_what_each_location_sees_of_sign_up_is_shown_and_how_much_fails(seen: Seen) -> None:
    assert seen.snapshot is not None
    (service,), failing = seen.snapshot.services, Registration.FAILING
    part = next(part for part in service.components if part.registration is not None)
    assert part.registration is not None
    way = part.registration.methods[0]
    here, elsewhere = (
        PlaceState(PlaceWord(place, state), way.since, way.read_at, way.source, state)
        for place, state in (("local", failing), ("of another file", Registration.OPEN))
    )
    way = replace(way, state=failing, failed_ratio=0.69, places=(here, elsewhere))
    changed = replace(part, registration=replace(part.registration, methods=(way,)))
    seen.snapshot = replace(seen.snapshot, services=(replace(service, components=(changed,)),))
    text = exposed(seen)
    assert sample(text, "chatwatch_registration_failed_ratio", component=part.id) == 0.69
    assert sample(text, "chatwatch_registration_location_state", location="local", state="failing") == 1
    assert sample(text, "chatwatch_registration_location_state", location="local", state="open") == 0
    assert "of another file" not in text


def test_without_the_database_the_probes_are_still_shown_and_the_collector_says_so(seen: Seen) -> None:
    seen.snapshot_at = NOW - timedelta(minutes=5)
    text = exposed(seen)
    assert sample(text, "chatwatch_collector_up") == 0
    assert sample(text, "probe_success", instance="shop-page") == 1
    assert "chatwatch_component_health" not in text


def test_a_collector_that_fails_leaves_a_scrape_that_says_so(seen: Seen, caplog: pytest.LogCaptureFixture) -> None:
    broken = replace(page().observation, phases="no phases at all")  # type: ignore[arg-type]  # a bug, on purpose
    seen.newest["shop-page"] = replace(page(), observation=broken)
    text = exposed(seen)
    assert sample(text, "chatwatch_collector_up") == 0
    assert "probe_success" not in text
    assert "Metrics collector failed" in caplog.text


def stuffed(kind: Any, text: str) -> Any:
    """Return a value of a type with the text wherever a string may stand, in a dataclass however deep."""
    origin, parts = get_origin(kind), get_args(kind)
    if kind is str:
        return text
    if origin in (UnionType, Union):
        return stuffed(next(part for part in parts if part is not type(None)), text)
    if origin is tuple:
        return (stuffed(parts[0], text),)
    if origin is not None:  # a mapping
        return {stuffed(parts[0], text): stuffed(parts[1], text)}
    if isinstance(kind, type) and is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{field.name: stuffed(hints[field.name], text) for field in fields(kind) if field.init})
    plain = {datetime: NOW, date: NOW.date(), bool: True, int: 1, float: 1.0, Any: text}
    return plain[kind] if kind in plain else next(iter(kind))


def test_no_text_of_a_vendor_is_ever_in_a_label(seen: Seen) -> None:
    """Every string that a look can hold, and every one of the snapshot that is no id of ours, is the vendor's."""
    whole = stuffed(Observation, HOSTILE)
    assert whole.chat.finish_reason == whole.upstream.incidents[0].updates[0].body == HOSTILE  # it reaches everywhere
    for probe, kept in list(seen.newest.items()):
        for reason in Reason:
            seen.newest[probe] = replace(kept, observation=replace(whole, reason=reason))
            assert "evil" not in exposed(seen), reason
    snap = stuffed(Snapshot, HOSTILE)
    (service,), (incident,) = snap.services, snap.open_incidents
    parts = tuple(replace(service.components[0], id=f"shop/{name}", service="shop") for name in ("web", "chat"))
    assert parts[0].registration.methods[0].excerpt == HOSTILE
    service, incident = replace(service, id="shop", components=parts), replace(incident, service="shop")
    seen.snapshot = replace(snap, services=(service,), open_incidents=(incident,))
    text = exposed(seen)
    assert sample(text, "chatwatch_collector_up") == 1
    assert sample(text, "chatwatch_registration_state", component="shop/web") is not None
    assert "evil" not in text


def test_the_text_is_sound_openmetrics(seen: Seen) -> None:
    registry, counters = registry_for(seen)
    counters.count([page(), chat(), look("shop-page", Reason.OVERRUN)])
    counters.notices.labels("hook", str(Sending.SENT)).inc()
    text = generate_openmetrics(registry).decode()  # type: ignore[no-untyped-call]  # the library's
    parsed = text_string_to_metric_families(text)  # type: ignore[no-untyped-call]  # the same
    families = {family.name: family for family in parsed}
    assert families["chatwatch_results"].type == "counter"


def test_a_probe_has_at_most_thirteen_series(seen: Seen) -> None:
    text = exposed(seen)
    for probe in ("shop-page", "shop-chat"):
        assert text.count(f'instance="{probe}"') <= 13


def test_changes_during_scrapes_never_break_one(seen: Seen) -> None:
    registry, _ = registry_for(seen)
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            for number in range(200):
                seen.newest[f"p{number}"] = page()
            seen.newest = {}
            seen.take(page())

    churning = threading.Thread(target=churn)
    churning.start()
    try:
        for _ in range(50):
            assert sample(generate_latest(registry).decode(), "chatwatch_collector_up") == 1
    finally:
        stop.set()
        churning.join()


def test_the_address_hash_is_that_of_blackbox_exporter() -> None:
    assert fnv1a(b"") == 0x811C9DC5
    assert fnv1a(b"a") == 0xE40C292C


def get(seen: Seen, path: str, registry: CollectorRegistry | None = None, **headers: str) -> httpx.Response:
    async def ask() -> httpx.Response:
        app = application(seen, registry or registry_for(seen)[0])
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://worker:8503") as client:
            return await client.get(path, headers=headers)

    return asyncio.run(ask())


def test_the_scrape_is_negotiated(seen: Seen) -> None:
    assert get(seen, "/metrics").headers["content-type"].startswith("text/plain")
    asked = get(seen, "/metrics", accept="application/openmetrics-text;version=1.0.0")
    assert asked.headers["content-type"].startswith("application/openmetrics-text")
    assert asked.text.endswith("# EOF\n")


def test_probe_shows_a_configured_probe_without_labels_and_nothing_else(seen: Seen) -> None:
    shown = get(seen, "/probe?target=shop-page").text
    assert "\nprobe_success 1.0\n" in shown
    assert "probe_ip_protocol 4.0" in shown
    assert sample(shown, "probe_ip_addr_hash") == fnv1a(bytes([192, 0, 2, 7]))
    assert "probe_http_version 1.1" in shown
    assert "probe_http_ssl 1.0" in shown
    assert get(seen, "/probe").status_code == 400
    for target in ("http://169.254.169.254/", "shop-pag", "../etc/passwd"):
        refused = get(seen, f"/probe?target={target}")
        assert refused.status_code == 400
        assert target not in refused.text


def test_discovery_lists_what_runs(seen: Seen) -> None:
    found = get(seen, "/sd").json()
    assert [item["labels"]["__param_target"] for item in found] == ["shop-page", "shop-chat"]
    assert found[0]["targets"] == ["worker:8503"]


def test_ready_says_what_is_missing(seen: Seen) -> None:
    assert get(seen, "/-/ready").status_code == 200
    seen.stored_at = NOW - timedelta(minutes=1)
    assert (get(seen, "/-/ready").status_code, get(seen, "/-/healthy").status_code) == (503, 200)
    assert "database" in get(seen, "/-/ready").text


@pytest.mark.prometheus
@pytest.mark.parametrize("path", ["/metrics", "/probe?target=shop-page", "/probe?target=shop-chat"])
def test_promtool_finds_nothing_to_say(seen: Seen, path: str) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is missing: on Debian run apt-get install prometheus")
    text = get(seen, path).text
    checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
