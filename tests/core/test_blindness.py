import pytest

from monitor.core.catalogue import Probe
from monitor.core.checks.network_doubt import is_blind
from monitor.core.model.observations import Result
from monitor.core.model.reasons import Reason
from monitor.text.lexicon import lexicon
from monitor.text.messages import worded

from .making import at, look, probe

WORLD: dict[str, Probe] = {
    held.id: held
    for held in (
        *(probe(name, f"{name}/web") for name in ("deepseek", "openai", "anthropic", "mistral")),
        probe("deepseek-api", "deepseek/api"),
        probe("control", "control/dns", control=True),
        probe("control2", "control/two", control=True),
    )
}


def blind(now_s: float = 10, /, **seen: Reason) -> str:
    recent: list[Result] = [look(0, reason, probe=name.replace("_", "-")) for name, reason in seen.items()]
    return is_blind(recent, WORLD, at(now_s))


D, C, T, X, O = Reason.DNS, Reason.CONNECT, Reason.TIMEOUT_CONNECT, Reason.SERVER_ERROR, Reason.OK  # noqa: E741  # a table


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ({"deepseek": D, "openai": C, "anthropic": T}, "3 of 3 independent services"),
        ({"deepseek": D, "openai": C, "anthropic": T, "mistral": O}, "3 of 4"),
        ({"deepseek": D, "openai": C, "anthropic": O}, ""),
        ({"deepseek": D, "openai": X, "anthropic": X}, ""),
        ({"deepseek": X, "openai": X, "anthropic": X}, ""),
        ({"deepseek": D, "deepseek_api": D}, ""),
        ({"deepseek": D}, ""),
        ({"control": D}, "the only control target"),
        ({"control": C, "deepseek": D}, "the only control target"),
        ({"control": D, "deepseek": D}, "none of 2 independent names resolves"),
        ({"control": D, "deepseek": O, "openai": O, "anthropic": D}, ""),
        ({"control": O, "deepseek": D, "openai": D, "anthropic": D}, ""),
        ({"control": D, "control2": O, "deepseek": D, "openai": D}, ""),
        ({"deepseek": Reason.NETWORK, "openai": Reason.NETWORK}, "2 of 2"),
        ({}, ""),
    ],
)
def test_blind_is_when_independent_targets_fail_alike(seen: dict[str, Reason], said: str) -> None:
    assert worded(blind(10, **seen), lexicon()).startswith(said)
    assert bool(blind(10, **seen)) is bool(said)


def test_old_missed_and_unknown_looks_do_not_count() -> None:
    assert blind(500, deepseek=D, openai=D) == ""
    assert blind(deepseek=Reason.NOT_RUNNING, openai=Reason.NOT_RUNNING) == ""
    assert is_blind([look(0, D, probe="removed")], WORLD, at(1)) == ""


def test_the_newest_look_of_a_probe_counts() -> None:
    recent = [look(30, O, probe="deepseek"), look(0, D, probe="deepseek"), look(30, D, probe="openai")]
    assert is_blind(recent, WORLD, at(40)) == ""
