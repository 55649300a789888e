"""Whose outage it is when vendors fail together, one after the other, or beside a broken control: truth and notices."""

from typing import Any

import pytest

from monitor.core.scenario import play

HOSTS = {"a": "a.example.com", "b": "b.example.org", "c": "c.example.net"}
PAGE = {"component": "chatwatch/controls", "interval": "60s", "control": True, "target": "www.gstatic.com"}
PORT = {"component": "chatwatch/controls", "interval": "30s", "control": True, "kind": "tcp", "target": "1.1.1.1:53"}
ERROR, HEADERS, CONNECT, TLS = (
    "service.error",
    "service.timeout.headers",
    "service.timeout.connect",
    "service.timeout.tls",
)
MIXTURES = [
    (ERROR, HEADERS, CONNECT),
    (ERROR, HEADERS),
    (CONNECT, ERROR),
    (CONNECT, "service.timeout.tls"),
    ("service.dns", HEADERS),
    ("service.tls.untrusted", ERROR),
]


def outage(since: str, until: str = "3h", reason: str = ERROR) -> list[dict[str, Any]]:
    return [{"from": since, "to": until, "fails": "100%", "reason": reason}]


def scenario(stretches: dict[str, list[dict[str, Any]]], until: str = "3h", **beside: Any) -> dict[str, Any]:
    """Return a world of vendors at 60 s and of control targets named ``page`` and ``port``."""
    controls = {"page": PAGE, "port": PORT}
    probes = {
        name: controls.get(name) or {"component": f"{name}/web", "interval": "60s", "target": HOSTS[name]}
        for name in stretches
    }
    return {"name": "doubt", "until": until, "probes": probes, "world": stretches, **beside}


def pages(data: dict[str, Any], seed: int = 1) -> list[str]:
    """Return who was paged about first, in order: a component, or ``blind``."""
    first = [line.split() for line in play.run(data, seed=seed).notices if "first page" in line]
    return ["blind" if "blind" in words else words[words.index("component_down") + 1] for words in first]


def bad_minutes(mixture: tuple[str, ...], minutes: int) -> dict[str, Any]:
    spans = [{"from": f"{at}m", "to": f"{at + minutes}m", "reason": list(mixture)} for at in range(30, 690, 30)]
    return scenario({name: [] for name in HOSTS}, until="12h", own_side=spans)


@pytest.mark.parametrize("seed", [11, 12])
@pytest.mark.parametrize("mixture", MIXTURES, ids=" ".join)
def test_a_bad_minute_of_our_own_pages_for_no_vendor_however_kinds_are_mixed(
    mixture: tuple[str, ...], seed: int
) -> None:
    assert set(pages(bad_minutes(mixture, 1), seed)) <= {"blind"}


@pytest.mark.parametrize("mixture", MIXTURES, ids=" ".join)
def test_ten_bad_minutes_of_our_own_page_for_no_vendor_however_kinds_are_mixed(mixture: tuple[str, ...]) -> None:
    assert set(pages(bad_minutes(mixture, 10), 11)) == {"blind"}


@pytest.mark.parametrize(
    ("stretches", "told"),
    [
        pytest.param({"a": outage("1h"), "b": outage("80m")}, ["a/web", "b/web"], id="the second vendor"),
        pytest.param({"a": outage("1h"), "b": outage("80m"), "port": []}, ["a/web", "b/web"], id="beside an open port"),
        pytest.param(
            {"a": outage("1h", reason=HEADERS), "b": outage("80m", reason=HEADERS)},
            ["a/web", "b/web"],
            id="without an answer",
        ),
        pytest.param(
            {"a": outage("1h"), "b": outage("70m"), "c": outage("80m")}, ["a/web", "b/web", "c/web"], id="the third"
        ),
        pytest.param({"a": outage("80m"), "page": outage("1h", "4h")}, ["a/web"], id="a control died before"),
        pytest.param(
            {"a": outage("80m"), "b": outage("2h"), "page": outage("0s", reason=CONNECT), "port": []},
            ["a/web", "b/web"],
            id="a control out of reach",
        ),
        pytest.param({"a": outage("1h", reason=CONNECT), "b": outage("1h")}, ["blind"], id="both at once"),
        pytest.param({"a": outage("1h"), "b": outage("1h"), "c": []}, ["a/web", "b/web"], id="two of three at once"),
    ],
)
def test_an_outage_is_told_or_it_is_said_that_we_cannot_tell(
    stretches: dict[str, list[dict[str, Any]]], told: list[str]
) -> None:
    assert sorted(pages(scenario(stretches, until="3h"))) == told


LOST = [HEADERS, "service.protocol", TLS]


def full_line(share: str) -> dict[str, Any]:
    """Return a world in which our line loses so many looks of everybody, the control's too, for twenty minutes."""
    bad = {"from": "20m", "to": "40m", "fails": share, "reason": LOST, "truth": "operational"}
    return scenario({name: [{"fails": "0.1%"}, bad] for name in (*HOSTS, "page")}, "1h")


def test_a_full_line_of_ours_hardly_ever_pages_for_a_vendor_and_says_that_we_are_blind() -> None:
    told = [pages(full_line(share), seed) for share in ("60%", "90%") for seed in range(51, 54)]
    assert all("blind" in one for one in told)
    assert sum(one != ["blind"] for one in told) <= 1


@pytest.mark.parametrize("reason", [CONNECT, TLS, HEADERS])
def test_a_vendor_that_is_down_with_answers_still_speaks_for_our_line(reason: str) -> None:
    own = [{"from": "80m", "to": "90m", "reason": reason}]
    assert pages(scenario({"a": outage("1h", "2h"), "b": []}, own_side=own)) == ["a/web", "blind"]


def test_a_vendor_of_three_at_which_a_quarter_of_looks_fails_is_told_all_the_same() -> None:
    part = [{"from": "30m", "to": "3h", "fails": "25%", "reason": ERROR}]
    for seed in (41, 42):
        assert "a/web" in pages(scenario({"a": part, "b": [], "c": [], "page": []}, "75m"), seed)
