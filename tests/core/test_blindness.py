"""Which failures are the vendor's and which our own: tables over gates, kinds of targets and times."""

from datetime import timedelta
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.catalogue import Catalogue, Component, Probe
from monitor.core.checks import probe_state, steps
from monitor.core.doubt.clock import TrustedTime
from monitor.core.doubt.independence import groups, registrable
from monitor.core.doubt.network import blindness, can_doubt, make_targets, question, shared
from monitor.core.doubt.proof import clear
from monitor.core.doubt.sight import SEES, Blindness, Sight, seen
from monitor.core.model.depth import DOUBTED, GOT, Depth, Reach, needed, passes
from monitor.core.model.reasons import Outcome, Reason
from monitor.text.lexicon import lexicon
from monitor.text.messages import worded

from .making import at, look, probe

VENDORS = ("deepseek", "openai", "anthropic", "mistral")
WORLD = Catalogue(
    probes=(
        *(probe(name, f"{name}/web", target=f"chat.{name}.com") for name in VENDORS),
        probe("deepseek-api", "deepseek/api", target="api.deepseek.com"),
        probe("control", "control/dns", control=True, target="control.example"),
        probe("control2", "control/two", control=True, target="two.example"),
        probe("port", "control/port", control=True, target="192.0.2.1:53", reach=Reach.TCP),
    )
)
D, C, T, X, O = Reason.DNS, Reason.CONNECT, Reason.TIMEOUT_CONNECT, Reason.SERVER_ERROR, Reason.OK  # noqa: E741  # a table
U, E, H, P = Reason.CERTIFICATE_UNTRUSTED, Reason.CERTIFICATE_EXPIRED, Reason.TIMEOUT_HEADERS, Reason.PROTOCOL
N = Reason.NETWORK


def seen_at(times: dict[str, list[tuple[float, Reason]]]) -> dict[str, Sight]:
    found: dict[str, Sight] = {}
    for name, looks in times.items():
        sight = None
        for second, reason in looks:
            sight = seen(sight, look(second, reason, probe=name))
        if sight is not None:
            found[name] = sight
    return found


def blind(now_s: float = 10, /, **reasons: Reason) -> Blindness:
    sights = seen_at({name.replace("_", "-"): [(0, reason)] for name, reason in reasons.items()})
    return blindness(sights, make_targets(WORLD), at(now_s))


def told(found: Blindness) -> str:
    return worded(found.why, lexicon())


@pytest.mark.parametrize(
    ("reasons", "said"),
    [
        ({"deepseek": D, "openai": C, "anthropic": T}, "3 of 3 independent services"),
        ({"deepseek": D, "openai": C, "anthropic": T, "mistral": O}, "3 of 4"),
        ({"deepseek": D, "openai": C, "anthropic": O}, ""),
        ({"deepseek": D, "openai": X, "anthropic": X}, ""),
        ({"deepseek": X, "openai": X, "anthropic": X}, "3 of 3 independent services fail together with bad answers"),
        ({"deepseek": X, "openai": Reason.OVERLOADED}, "2 of 2"),
        ({"deepseek": X, "openai": X, "anthropic": O}, ""),
        ({"deepseek": X, "openai": X, "port": O}, "2 of 2"),
        ({"deepseek": X, "openai": X, "control": O}, ""),
        ({"deepseek": X, "openai": X, "control": X}, "the only control target that could tell fails with bad answers"),
        ({"deepseek": X, "control": C}, ""),
        ({"deepseek": U, "openai": U, "port": O}, "2 of 2 independent services fail together in the handshake"),
        ({"deepseek": U, "control": U, "port": O}, "the only control target that could tell fails in the handshake"),
        ({"deepseek": U, "control": O, "port": O}, ""),
        ({"deepseek": U, "openai": X}, ""),
        ({"deepseek": H, "openai": P, "anthropic": T, "mistral": Reason.TIMEOUT_TLS}, "4 of 4"),
        ({"deepseek": H, "openai": P, "anthropic": X}, ""),
        ({"deepseek": D, "deepseek_api": D}, ""),
        ({"deepseek": X, "deepseek_api": X}, ""),
        ({"deepseek": D}, ""),
        ({"control": D}, "the only control target"),
        ({"control": C, "deepseek": D}, "the only control target"),
        ({"control": D, "deepseek": D}, "none of 2 independent names resolves"),
        ({"control": D, "deepseek": D, "port": O}, "none of 2 independent names resolves"),
        ({"control": D, "deepseek": O, "openai": O, "anthropic": D}, ""),
        ({"control": O, "deepseek": D, "openai": D, "anthropic": D}, ""),
        ({"deepseek": T, "openai": T, "control": T, "port": O}, "the only control target"),
        ({"deepseek": C, "openai": T, "port": O}, "2 of 2"),
        ({"deepseek": T, "openai": T, "control": O, "port": O}, ""),
        ({"deepseek": T, "port": O}, ""),
        ({"control": D, "control2": O, "deepseek": D, "openai": D}, ""),
        ({"deepseek": N, "openai": N}, "2 of 2"),
        ({}, ""),
    ],
)
def test_blind_is_when_independent_targets_fail_alike(reasons: dict[str, Reason], said: str) -> None:
    assert told(blind(10, **reasons)).startswith(said)
    assert bool(blind(10, **reasons)) is bool(said)


@pytest.mark.parametrize("reason", sorted(DOUBTED))
def test_no_reason_makes_two_vendors_red_that_fail_at_the_same_time(reason: Reason) -> None:
    assert blind(deepseek=reason, openai=reason)


def test_every_failure_is_doubted_but_those_that_have_witnesses_of_their_own() -> None:
    failures = {reason for reason in Reason if reason.outcome is Outcome.FAILED}
    assert failures - DOUBTED == {Reason.NO_HEARTBEAT, Reason.AUTH_BROKEN}
    assert all(GOT[reason] is not None for reason in DOUBTED)


def test_certificates_that_look_expired_everywhere_are_our_clock() -> None:
    assert blind(deepseek=E, openai=E).reason is Reason.CLOCK
    assert "our clock is wrong" in told(blind(deepseek=E, control=E))
    assert blind(deepseek=E, openai=U).reason is Reason.NETWORK
    assert not blind(deepseek=E, control=O)


def test_only_what_passes_a_gate_speaks_for_our_own_side() -> None:
    assert not passes(Reach.TCP, needed(U))
    assert not passes(Reach.PLAIN, needed(U))
    assert passes(Reach.TLS, needed(U))
    assert not passes(Reach.TLS, needed(H))
    assert passes(Reach.PLAIN, needed(X))
    assert [needed(reason) for reason in (C, U, H, X)] == [1, 2, 3, 4]
    assert not any(passes(Reach.NONE, gate) for gate in Depth)


def test_old_missed_and_unknown_looks_do_not_count() -> None:
    assert not blind(500, deepseek=D, openai=D)
    assert not blind(deepseek=Reason.NOT_RUNNING, openai=Reason.NOT_RUNNING)
    assert not blind(deepseek=Reason.LAGGED, openai=Reason.INTERNAL)
    assert not blindness(seen_at({"removed": [(0, D)]}), make_targets(WORLD), at(1))


def test_the_newest_look_of_a_probe_counts() -> None:
    sights = seen_at({"deepseek": [(0, D), (30, O)], "openai": [(30, D)]})
    assert not blindness(sights, make_targets(WORLD), at(40))


@pytest.mark.parametrize(("began_s", "together"), [(0, True), (60, True), (130, False), (3600, False)])
def test_failures_that_began_far_apart_have_causes_of_their_own(began_s: float, together: bool) -> None:
    first: list[tuple[float, Reason]] = [(second, X) for second in range(0, int(began_s) + 1, 30)]
    sights = seen_at({"deepseek": first, "openai": [(began_s, X)]})
    assert bool(blindness(sights, make_targets(WORLD), at(began_s + 5))) is together


def test_who_answers_after_the_failures_began_makes_them_the_vendors() -> None:
    shared: dict[str, list[tuple[float, Reason]]] = {name: [(0, O), (30, X)] for name in VENDORS[:3]}
    assert blindness(seen_at(shared | {"mistral": [(20, O)]}), make_targets(WORLD), at(40))
    assert not blindness(seen_at(shared | {"mistral": [(35, O)]}), make_targets(WORLD), at(40))


def test_a_control_that_is_out_of_reach_is_no_witness_against_ourselves() -> None:
    firewall: list[tuple[float, Reason]] = [(second, C) for second in range(0, 7200, 30)]
    sights = seen_at({"control": firewall, "deepseek": [(7190, C)], "openai": [(7170, O)]})
    assert not blindness(sights, make_targets(WORLD), at(7200))
    never = seen_at({"control": [(7180, C)], "deepseek": [(7100, O), (7190, C)]})
    assert not blindness(never, make_targets(WORLD), at(7200))


STORIES = st.lists(st.tuples(st.integers(0, 40), st.sampled_from((O, O, D, C, U, E, H, X, N))), max_size=5)


@settings(max_examples=1000)
@given(st.dictionaries(st.sampled_from(sorted(probe.id for probe in WORLD.probes)), STORIES))
def test_one_pass_for_many_failures_finds_what_asking_about_each_would(
    stories: dict[str, list[tuple[int, Reason]]],
) -> None:
    """Times are in quarter minutes, so that failures begin together, apart, and before and after others answer."""
    sights = seen_at(
        {name: [(15.0 * step, reason) for step, reason in sorted(looks)] for name, looks in stories.items()}
    )
    targets, now = make_targets(WORLD), at(15.0 * 40 + 5)
    known = targets.probes
    asked = {ask for name, sight in sights.items() if (ask := question(sight, known[name].target)) is not None}
    each = (shared(ask, sights, targets, now) for ask in sorted(asked, key=lambda one: (*one.kind, one.since or now)))
    assert blindness(sights, targets, now) == next((why for why in each if why), SEES)


class Counted(dict[str, Sight]):
    """Sights that count how often all of them are gone through."""

    passes = 0

    def items(self):  # type: ignore[no-untyped-def]  # dict_items has no name of its own
        self.passes += 1
        return super().items()


def test_a_storm_of_one_vendor_is_settled_without_asking_about_each_failure() -> None:
    many = tuple(probe(f"deepseek-{number}", f"deepseek/{number}", target="api.deepseek.com") for number in range(200))
    storm = Catalogue(probes=(*WORLD.probes, *many))
    looks: dict[str, list[tuple[float, Reason]]] = {one.id: [(number / 10, X)] for number, one in enumerate(many)}
    sights = Counted(seen_at(looks | {"openai": [(15, O)], "anthropic": [(21, O)]}))
    assert not blindness(sights, make_targets(storm), at(25))
    assert sights.passes == 1


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("api.deepseek.com", "deepseek.com"),
        ("deepseek.com", "deepseek.com"),
        ("platform.minimaxi.com.", "minimaxi.com"),
        ("chat.example.co.uk", "example.co.uk"),
        ("API.Example.com.cn:8443", "example.com.cn"),
        ("localhost", "localhost"),
        ("192.0.2.1:53", "192.0.2.1:53"),
        ("", ""),
    ],
)
def test_a_vendor_is_known_by_the_host_that_somebody_registered(host: str, said: str) -> None:
    assert registrable(host) == said


def test_two_keys_of_one_vendor_are_not_two_vendors() -> None:
    two = Catalogue(
        probes=(
            probe("a", "deepseek/api", target="api.deepseek.com"),
            probe("b", "reasoner/api", target="api.deepseek.com"),
        )
    )
    sights = seen_at({"a": [(0, X)], "b": [(0, X)]})
    assert not blindness(sights, make_targets(two), at(5))
    assert not can_doubt(two.probes[0], two)


def test_services_that_depend_on_each_other_have_a_common_cause() -> None:
    above = Component("shop/web", "shop", "Web", depends_on=("cdn/edge",))
    also = Component("bank/web", "bank", "Web", depends_on=("cdn/edge",))
    three = Catalogue(
        components=(above, also),
        probes=(probe("a", "shop/web"), probe("b", "cdn/edge"), probe("c", "bank/web"), probe("d", "other/web")),
    )
    found = groups(three)
    assert len({found[name] for name in "abc"}) == 1
    assert found["d"] == "other"


def test_status_pages_at_one_provider_do_not_make_vendors_one() -> None:
    pages = [probe(f"{name}-page", f"{name}/api", witness=True, target=f"{name}.statuspage.io") for name in VENDORS]
    own = [probe(name, f"{name}/api", target=f"{name}.com") for name in VENDORS]
    assert set(groups(Catalogue(probes=(*pages, *own))).values()) == set(VENDORS)


@pytest.mark.parametrize("reason", sorted(DOUBTED))
@pytest.mark.parametrize("pair", list(combinations(VENDORS, 2)))
def test_two_of_four_vendors_that_fail_are_never_taken_for_ourselves(pair: tuple[str, str], reason: Reason) -> None:
    assert not blind(**{name: reason if name in pair else O for name in VENDORS})


def one(*, reach: Reach = Reach.HTTP, control: bool = False) -> Probe:
    return probe("x", "other/web", control=control, reach=reach, target="x.example")


@pytest.mark.parametrize(
    ("beside", "can"),
    [(None, False), (one(), True), (one(control=True), True), (one(reach=Reach.TCP, control=True), False)],
)
def test_alone_a_probe_cannot_doubt(beside: Probe | None, can: bool) -> None:
    mine = probe("mine", "deepseek/web", target="chat.deepseek.com")
    assert can_doubt(mine, Catalogue(probes=(mine, *([beside] if beside else [])))) is can


def test_a_look_that_was_found_to_be_ours_is_never_cleared_by_what_answered_before() -> None:
    mine, other = probe("mine", "deepseek/web"), probe("other", "openai/web")
    found = probe_state.new_probe_state("mine", "local")
    for second in range(0, 60, 4):
        found = steps.step(found, look(second, X, probe="mine"), mine)
    assert found.is_doubtful
    found = steps.step(found, look(90, N, probe="mine"), mine)
    beside = steps.step(probe_state.new_probe_state("other", "local"), look(70, X, probe="other"), other)
    here = [("mine", found), ("other", beside)]
    assert clear(mine, found, here, make_targets(Catalogue(probes=(mine, other))), at(91)).is_doubtful


@pytest.mark.parametrize(
    ("bad", "doubtful"),
    [
        pytest.param((), False, id="good all along"),
        pytest.param((0, 60), True, id="failed with it"),
        pytest.param((1140, 1200), True, id="fails now, so nothing is known of before"),
    ],
)
def test_a_failure_that_is_judged_late_has_the_witnesses_of_its_own_time(bad: tuple[int, ...], doubtful: bool) -> None:
    mine, other = probe("mine", "deepseek/web"), probe("other", "openai/web")
    beside = probe_state.new_probe_state("other", "local")
    for second in range(-600, 1201, 60):
        beside = steps.step(beside, look(second, X if second in bad else O, probe="other"), other)
    late, targets = probe_state.new_probe_state("mine", "local"), make_targets(Catalogue(probes=(mine, other)))
    for second in range(0, 124, 4):
        late = steps.step(late, look(second, X, probe="mine"), mine)
        if late.is_doubtful:
            late = clear(mine, late, [("mine", late), ("other", beside)], targets, at(second + 1))
    assert late.down
    assert late.is_doubtful is doubtful


def test_two_servers_that_agree_tell_how_far_our_clock_is_off() -> None:
    heard = TrustedTime()
    heard.heard("api.deepseek.com", "Mon, 05 Jan 2026 00:00:00 GMT", 100.0)
    assert heard.ahead(at(0), 100.0) is None
    heard.heard("chat.deepseek.com", "Mon, 05 Jan 2026 00:00:10 GMT", 110.0)
    assert heard.ahead(at(0), 100.0) is None  # the same vendor is one witness
    heard.heard("openai.com", "Mon, 05 Jan 2026 00:00:20 GMT", 120.0)
    assert heard.ahead(at(60), 160.0) == timedelta(0)
    for days in (-730, -1, 1, 730):
        assert heard.ahead(at(60) + timedelta(days=days), 160.0) == timedelta(days=days)
    heard.heard("wrong.example", "Mon, 05 Jan 2009 00:00:00 GMT", 120.0)
    assert heard.ahead(at(60), 160.0) == timedelta(0)


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 99 Jan 2026 00:00:00 GMT"])
def test_a_date_that_makes_no_sense_is_left_out(date: str) -> None:
    heard = TrustedTime()
    for host in ("a.example", "b.test"):
        heard.heard(host, date, 1e6)
    assert heard.ahead(at(0), 0.0) is None
