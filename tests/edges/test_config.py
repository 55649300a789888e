"""probes.yaml: what it may say, and every fault named at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from monitor.config.faults import Code, ConfigError, Fault
from monitor.config.load import Config, load
from monitor.core.model.alerting import Severity
from monitor.core.model.message_codes import MessageCode, coded
from monitor.core.model.states import Health

GOOD = """\
services:
  - id: shop
    name: Shop
    components:
      - {id: web, name: Web, kind: web}
      - {id: api, name: API, kind: api, depends_on: [web]}
    probes:
      - {id: page, component: web, kind: http, interval: 30s, timeout: 5s, options: {url: "https://shop.example/"}}
      - id: chat
        component: api
        kind: chat
        interval: 5m
        timeout: 60s
        options: {base_url: "https://api.shop.example/v1", model: small, key: "${SHOP_KEY}"}
"""


def read(tmp_path: Path, text: str | bytes, environ: Mapping[str, str] = {"SHOP_KEY": "k-0123456789"}) -> Config:
    path = tmp_path / "probes.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(path, environ)


def faults(tmp_path: Path, text: str | bytes, **named: Any) -> tuple[Fault, ...]:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text, **named)
    return caught.value.faults


def only(tmp_path: Path, text: str | bytes, code: Code, line: int, **named: Any) -> Fault:
    """Return the one fault, after checking its id and line."""
    found = faults(tmp_path, text, **named)
    assert [(fault.id, fault.line) for fault in found] == [(code.value, line)], "\n".join(map(str, found))
    return found[0]


SHARED_KEY = """
services:
  - id: shop
    name: Shop
    components: [{id: api, name: API}, {id: web, name: Web}]
    probes:
      - {id: chat, component: api, kind: chat, interval: 5m, timeout: 60s,
         options: {base_url: "https://api.shop.example/v1", model: m, key: "${KEY}"}}
      - {id: models, component: api, kind: http,
         options: {url: "https://api.shop.example/v1/models", secret_headers: {Authorization: "Bearer ${KEY}"}}}
      - {id: edge, component: api, kind: http, worst: degraded, options: {url: "https://api.shop.example/"}}
      - {id: second, component: api, kind: chat, interval: 5m, timeout: 60s,
         options: {base_url: "https://api.shop.example/v1", model: m, key: "${OTHER}"}}
      - {id: page, component: web, kind: http, options: {url: "https://shop.example/"}}
"""


def test_a_list_of_models_read_with_the_key_of_a_question_is_no_second_key(tmp_path: Path) -> None:
    probes = {
        probe.id: probe
        for probe in read(tmp_path, SHARED_KEY, {"KEY": "k-123456", "OTHER": "k-987654"}).catalogue.probes
    }
    assert probes["shop-chat"].key == probes["shop-models"].key == "key 1"
    assert probes["shop-second"].key == "key 2"
    assert probes["shop-page"].key == ""


@pytest.mark.parametrize(
    "header",
    [
        'Authorization: "${WHOLE}"',
        'authorization: "bearer ${KEY}"',
        'Authorization: "Token  ${KEY}"',
        'x-api-key: "${KEY}"',
        'X-Vendor-Secret: "${KEY}"',
    ],
)
def test_a_key_is_the_same_however_a_header_bears_it(tmp_path: Path, header: str) -> None:
    text = SHARED_KEY.replace('Authorization: "Bearer ${KEY}"', header)
    secrets = {"KEY": "k-123456", "WHOLE": "Bearer k-123456", "OTHER": "k-987654"}
    probes = {probe.id: probe.key for probe in read(tmp_path, text, secrets).catalogue.probes}
    assert probes["shop-chat"] == probes["shop-models"] == "key 1"
    assert probes["shop-second"] == "key 2"


def test_probes_that_may_page_for_one_component_share_the_false_pages_that_are_tolerated(tmp_path: Path) -> None:
    probes = read(tmp_path, SHARED_KEY, {"KEY": "k-123456"}).catalogue.probes
    assert {probe.id: probe.sharing for probe in probes if not probe.control} == {
        "shop-chat": 2,
        "shop-models": 2,
        "shop-edge": 1,  # degraded pages nobody
        "shop-second": 1,  # switched off without its key
        "shop-page": 1,
    }


def test_a_sound_file_becomes_a_catalogue_and_the_options_of_its_probes(tmp_path: Path) -> None:
    config = read(tmp_path, GOOD)
    page, chat = config.catalogue.probes
    assert (page.id, page.component, page.interval_s, page.timeout_s) == ("shop-page", "shop/web", 30, 5.0)
    assert (chat.id, chat.model, chat.target) == ("shop-chat", "small", "api.shop.example")
    assert config.catalogue.components[1].depends_on == ("shop/web",)
    assert config.looks["shop-chat"].key == SecretStr("k-0123456789")  # type: ignore[attr-defined]  # chat's own option


def test_a_missing_secret_switches_off_that_probe_alone_and_is_named(tmp_path: Path) -> None:
    config = read(tmp_path, GOOD, {})
    assert [probe.disabled for probe in config.catalogue.probes] == [
        "",
        coded(MessageCode.SECRET_NOT_SET, name="SHOP_KEY"),
    ]
    assert list(config.looks) == ["shop-page"]


@pytest.mark.parametrize("value", ["", "k-0123456789\n", " k-0123456789", "k-01\x0023456789"])
def test_an_empty_or_torn_secret_counts_as_missing_and_is_told_by_name_only(tmp_path: Path, value: str) -> None:
    config = read(tmp_path, GOOD, {"SHOP_KEY": value})
    reason = config.catalogue.probes[1].disabled
    assert "SHOP_KEY" in reason
    assert "0123456789" not in reason


def test_a_secret_is_in_no_text_of_the_configuration(tmp_path: Path) -> None:
    config = read(tmp_path, GOOD)
    assert "k-0123456789" not in repr(config)
    assert "k-0123456789" not in str(config)


def test_the_version_changes_with_the_content_and_not_with_the_secret(tmp_path: Path) -> None:
    first, second = read(tmp_path, GOOD), read(tmp_path, GOOD, {"SHOP_KEY": "k-another-one"})
    third = read(tmp_path, GOOD.replace("interval: 30s", "interval: 40s"))
    assert first.catalogue.version == second.catalogue.version != third.catalogue.version


def test_every_fault_is_told_in_one_run_with_its_line(tmp_path: Path) -> None:
    text = """\
colour: blue
policies:
  quick: {failure_ratio: 0.9}
services:
  - id: Shop!
    name: Shop
  - id: mall
    name: Mall
    name: Mall again
    components:
      - {id: web, name: Web, kind: web, depends_on: [cellar]}
    probes:
      - {id: a, component: web, kind: http, interval: 5, options: {url: "https://mall.example/"}}
      - {id: a, component: web, kind: htpp, interval: 30s, options: {}}
      - {id: b, component: wed, kind: http, interval: 5s, timeout: 10s, options: {ulr: "https://mall.example/"}}
channels:
  loud: {kind: horn}
routes:
  - {id: r, channels: [lout]}
"""
    seen = {(fault.line, fault.id) for fault in faults(tmp_path, text)}
    assert seen == {
        (1, Code.UNKNOWN_KEY),
        (3, Code.POLICY),
        (5, Code.BAD_ID),
        (9, Code.DUPLICATE_KEY),
        (11, Code.UNKNOWN_NAME),
        (13, Code.DURATION),
        (14, Code.DUPLICATE_ID),
        (14, Code.UNKNOWN_KIND),
        (15, Code.INTERVAL),
        (15, Code.MISSING_KEY),
        (15, Code.UNKNOWN_KEY),
        (15, Code.UNKNOWN_NAME),
        (17, Code.UNKNOWN_CHANNEL_KIND),
        (19, Code.UNKNOWN_NAME),
    }


def test_nothing_below_a_faulty_level_is_left_for_a_second_run(tmp_path: Path) -> None:
    text = """\
policies:
  default: {failure_ratio: 0.9, colour: blue}
services:
  - id: mall
    colour: red
    components:
      - {id: web, name: Web, kind: nonsense, depends_on: [cellar]}
    probes:
      - {id: a, component: web, kind: htpp, interval: 4s}
  - id: Shop!
    name: Shop
    probes: [{id: b, kind: http, options: {ulr: "https://shop.example/"}}]
  - preset: deepsek
    components: [{id: extra, nme: Extra, kind: web}]
    probes: [{id: c, component: web, kind: http, options: {url: 5}}]
routes:
  - {id: r, chanels: [loud], services: [deepsek, Shop!, mall, mal]}
listen: {live: "127.0.0.1:8500"}
"""
    seen = {(fault.line, fault.id) for fault in faults(tmp_path, text)}
    assert seen == {
        (2, Code.UNKNOWN_KEY),
        (2, Code.POLICY),
        (4, Code.MISSING_KEY),
        (5, Code.UNKNOWN_KEY),
        (7, Code.VALUE),
        (7, Code.UNKNOWN_NAME),
        (9, Code.UNKNOWN_KIND),
        (9, Code.INTERVAL),
        (10, Code.BAD_ID),
        (12, Code.MISSING_KEY),
        (12, Code.UNKNOWN_KEY),
        (13, Code.UNKNOWN_PRESET),
        (14, Code.MISSING_KEY),
        (14, Code.UNKNOWN_KEY),
        (15, Code.WRONG_TYPE),
        (17, Code.MISSING_KEY),
        (17, Code.UNKNOWN_KEY),
        (17, Code.UNKNOWN_NAME),
        (18, Code.VALUE),
    }


def test_what_was_lost_with_a_faulty_key_makes_no_faults_of_its_own(tmp_path: Path) -> None:
    policy = "policies:\n  default: {failure_ratio: 0.9, throttled_after: three}\n" + GOOD
    only(tmp_path, policy, Code.WRONG_TYPE, 2)
    only(tmp_path, GOOD.replace("interval: 5m", "interval: 5"), Code.DURATION, 12)
    only(tmp_path, GOOD.replace("name: Shop", "nam: Shop\n    name: Shop"), Code.UNKNOWN_KEY, 3)


def test_the_options_of_a_faulty_probe_are_checked_in_the_same_run(tmp_path: Path) -> None:
    text = """\
services:
  - id: mall
    name: Mall
    components: [{id: web, name: Web, kind: web}]
    probes:
      - id: a
        component: web
        kind: tcp
        interval: 5
        options: {host: mall.example, port: 99999}
"""
    seen = {(fault.line, fault.id) for fault in faults(tmp_path, text)}
    assert seen == {(9, Code.DURATION), (10, Code.VALUE)}


def test_an_unknown_key_is_told_with_the_one_that_was_meant(tmp_path: Path) -> None:
    fault = only(tmp_path, GOOD.replace("interval: 30s", "intervall: 30s"), Code.UNKNOWN_KEY, 8)
    assert fault.hint == 'did you mean "interval"?'


def test_an_unknown_option_of_a_kind_is_told_with_the_one_that_was_meant(tmp_path: Path) -> None:
    fault = only(tmp_path, GOOD.replace("model: small", "model: small, streem: true"), Code.UNKNOWN_KEY, 14)
    assert fault.hint == 'did you mean "stream"?'


@pytest.mark.parametrize("wrong", ["5", "5 parsecs", "-5s", "true", "[5s]", "1e3s", "''"])
def test_a_duration_without_a_unit_is_refused(tmp_path: Path, wrong: str) -> None:
    only(tmp_path, GOOD.replace("interval: 30s", f"interval: {wrong}"), Code.DURATION, 8)


@pytest.mark.parametrize("wrong", ["0s", "999d", "1500ms"])
def test_an_interval_off_the_grid_is_refused(tmp_path: Path, wrong: str) -> None:
    found = faults(tmp_path, GOOD.replace("interval: 30s", f"interval: {wrong}"))
    assert {fault.line for fault in found} == {8}
    assert {fault.id for fault in found} <= {Code.VALUE, Code.INTERVAL}


def test_an_interval_shorter_than_the_timeout_is_refused(tmp_path: Path) -> None:
    fault = only(tmp_path, GOOD.replace("interval: 30s", "interval: 3s"), Code.INTERVAL, 8)
    assert "3 s" in fault.message
    assert "5 s" in fault.message


def test_duplicate_keys_and_ids_are_refused_and_the_first_is_named(tmp_path: Path) -> None:
    twice = GOOD + GOOD.removeprefix("services:\n")
    found = faults(tmp_path, twice)
    assert {(fault.id, fault.line) for fault in found} == {
        (Code.DUPLICATE_ID, 15),
        (Code.DUPLICATE_ID, 18),
        (Code.DUPLICATE_ID, 19),
        (Code.DUPLICATE_ID, 21),
        (Code.DUPLICATE_ID, 22),
    }
    assert next(fault for fault in found if fault.line == 15).hint.endswith("probes.yaml:2")
    assert only(tmp_path, GOOD + "label: a\nlabel: b\n", Code.DUPLICATE_KEY, 16).hint == "the first is on line 15"


def test_yaml_bombs_are_refused_at_once(tmp_path: Path) -> None:
    levels = "\n".join(
        f"{name}: &{name} [{', '.join([f'*{below}'] * 9)}]" for below, name in zip("abcdefg", "bcdefgh", strict=True)
    )
    laughs = f"a: &a [x, x, x, x, x, x, x, x, x]\n{levels}\n"
    assert faults(tmp_path, laughs)[0].id == Code.BOMB
    assert faults(tmp_path, "a: " + "[" * 50_000)[0].id == Code.BOMB
    assert faults(tmp_path, "&a [*a]")[0].id == Code.BOMB
    assert faults(tmp_path, b"label: " + b"x" * 5_000_000)[0].id == Code.BOMB


def test_tabs_are_named_with_their_line(tmp_path: Path) -> None:
    fault = only(tmp_path, GOOD.replace("    name: Shop", "\tname: Shop"), Code.SYNTAX, 3)
    assert "spaces" in fault.hint


def test_what_is_not_utf8_is_named_with_its_line(tmp_path: Path) -> None:
    only(tmp_path, b"label: ok\nservices: \xff\xfe\n", Code.NOT_UTF8, 2)


def test_tags_and_merge_keys_are_refused(tmp_path: Path) -> None:
    evil = "label: !!python/object/apply:os.system ['true']\n"
    assert Code.TAG in {fault.id for fault in faults(tmp_path, evil)}
    merged = GOOD + "policies:\n  a: &a {throttled_after: 4}\n  b: {<<: *a}\n"
    assert only(tmp_path, merged, Code.SYNTAX, 17)


def test_words_that_older_yaml_takes_for_booleans_stay_words(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD.replace("name: Shop", "name: no")).catalogue.services[0].name == "no"


def test_wrong_types_are_told_in_the_words_of_the_file(tmp_path: Path) -> None:
    assert only(tmp_path, GOOD + "locations: here\n", Code.WRONG_TYPE, 15)
    assert only(tmp_path, GOOD + "routes: {}\n", Code.WRONG_TYPE, 15)
    assert only(tmp_path, GOOD.replace("name: Web,", "name: 12,"), Code.WRONG_TYPE, 5)
    assert only(tmp_path, "services: [12]\n", Code.WRONG_TYPE, 1)
    assert only(tmp_path, "just words\n", Code.WRONG_TYPE, 1)


def test_an_empty_and_a_missing_file_are_faults(tmp_path: Path) -> None:
    assert only(tmp_path, "# nothing\n", Code.NOTHING_TO_WATCH, 1)
    assert only(tmp_path, "services: []\n", Code.NOTHING_TO_WATCH, 1)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "absent.yaml", {})
    assert caught.value.faults[0].id == Code.UNREADABLE
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "loop.yaml", {})
    assert caught.value.faults[0].id == Code.UNREADABLE


def test_a_secret_written_out_is_refused_without_repeating_it(tmp_path: Path) -> None:
    fault = only(tmp_path, GOOD.replace("${SHOP_KEY}", "k-0123456789"), Code.PLAIN_SECRET, 14)
    assert "0123456789" not in str(fault)


def test_a_secret_in_a_field_that_people_see_is_refused(tmp_path: Path) -> None:
    text = GOOD.replace("https://shop.example/", "https://shop.example/?key=${SHOP_KEY}")
    fault = only(tmp_path, text, Code.MISPLACED_SECRET, 8)
    assert "0123456789" not in str(fault)


def test_no_fault_repeats_a_secret(tmp_path: Path) -> None:
    text = GOOD.replace("model: small", "max_tokens: ${SHOP_KEY}, key: {a: ${SHOP_KEY}}, model: 7")
    assert "0123456789" not in "\n".join(map(str, faults(tmp_path, text)))


@pytest.mark.parametrize("wrong", ["${SHOP-KEY}", "${}", "a ${SHOP_KEY", "${1}"])
def test_a_reference_that_is_not_well_formed_is_refused(tmp_path: Path, wrong: str) -> None:
    assert only(tmp_path, GOOD.replace("${SHOP_KEY}", wrong), Code.BAD_REFERENCE, 14)


def test_policies_inherit_from_the_default_and_the_nearest_wins(tmp_path: Path) -> None:
    text = (
        GOOD.replace("name: Shop\n", "name: Shop\n    policy: calm\n").replace(
            "kind: http, interval", "kind: http, policy: quick, interval"
        )
        + "policies:\n  default: {recovery_window: 5m}\n  calm: {throttled_after: 9}\n  quick: {early_looks: false}\n"
    )
    page, chat = read(tmp_path, text).catalogue.probes
    assert (page.policy.recovery_window_s, page.policy.early_looks, page.policy.throttled_after) == (300.0, False, 3)
    assert (chat.policy.recovery_window_s, chat.policy.throttled_after) == (300.0, 9)


def test_controls_channels_and_routes_are_read(tmp_path: Path) -> None:
    text = GOOD + (
        "controls:\n  - {id: dns, kind: tcp, interval: 30s, options: {host: 192.0.2.1, port: 53}}\n"
        "channels:\n  chat: {kind: slack, url: '${SLACK}'}\n  hook: {kind: webhook, url: '${HOOK}'}\n"
        "routes:\n  - {id: on-call, channels: [chat], severities: [page], escalate_after: 10m}\n"
    )
    config = read(tmp_path, text, {"SHOP_KEY": "k-0123456789", "HOOK": "https://hook.example/"})
    control = config.catalogue.probes[-1]
    assert (control.id, control.control) == ("chatwatch-dns", True)
    assert not next(service for service in config.catalogue.services if service.id == "chatwatch").public
    assert config.channels["chat"].disabled == coded(MessageCode.SECRET_NOT_SET, name="SLACK")
    assert config.channels["hook"].options is not None
    route = config.catalogue.routes[0]
    assert (route.severities, route.escalate_after_s) == ((Severity.PAGE,), 600.0)


def test_the_worst_that_a_probe_can_make_of_its_component_is_chosen_in_words(tmp_path: Path) -> None:
    config = read(tmp_path, GOOD.replace("kind: http,", "kind: http, worst: partial,"))
    assert config.catalogue.probes[0].impact_when_down is Health.PARTIAL


def test_a_location_must_be_listed(tmp_path: Path) -> None:
    path = tmp_path / "probes.yaml"
    path.write_text(GOOD + "locations: [fra, sgp]\n")
    config = load(path, {}, "sgp")
    assert config.settings.location == "sgp"
    assert config.catalogue.probes[0].locations == ("fra", "sgp")
    with pytest.raises(ConfigError) as caught:
        load(path, {}, "sgb")
    assert caught.value.faults[0].hint == 'did you mean "sgp"?'


def test_ten_thousand_probes_are_read_and_a_hundred_thousand_refused(tmp_path: Path) -> None:
    row = "      - {id: p%d, component: web, kind: tcp, interval: 30s, options: {host: h.example, port: 1}}\n"
    head = GOOD.split("    probes:\n")[0] + "    probes:\n"
    assert len(read(tmp_path, head + "".join(row % n for n in range(3_000))).catalogue.probes) == 3_000
    found = faults(tmp_path, head + "".join(row % n for n in range(100_000)))
    assert found[0].id in (Code.BOMB, Code.TOO_MANY)
