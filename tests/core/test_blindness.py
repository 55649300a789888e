"""Is it them, or is it us? Names, addresses and controls told apart."""

from __future__ import annotations

import pytest

from monitor.core.blindness import ADDRESS_CONTROL, Sight, is_blind, sights
from monitor.core.model import Reason
from tests.core.making import at, look, probe, state

WATCHED = {
    held.id: held
    for held in (
        probe("deepseek-web", "deepseek/web", target="chat.deepseek.com"),
        probe("openai-web", "openai/web", target="chatgpt.com"),
        probe("by-address", "controls/controls", control=True, target="192.0.2.1:53"),
        probe("by-six", "controls/controls", control=True, target="[2001:db8::1]:53"),
        probe("by-name", "controls/controls", control=True, target="www.example.com"),
    )
}


def blind(**reasons: Reason) -> str:
    seen = [look(0, reason, probe=name.replace("_", "-")) for name, reason in reasons.items()]
    return is_blind(seen, WATCHED, at(5))


def test_an_answer_from_a_bare_address_does_not_prove_that_names_resolve() -> None:
    assert blind(deepseek_web=Reason.DNS, openai_web=Reason.DNS, by_address=Reason.OK, by_six=Reason.OK)
    assert blind(deepseek_web=Reason.DNS, by_name=Reason.DNS, by_address=Reason.OK)


def test_one_vendors_missing_name_is_the_vendors() -> None:
    assert not blind(deepseek_web=Reason.DNS, by_address=Reason.OK)
    assert not blind(deepseek_web=Reason.DNS, by_name=Reason.OK, by_address=Reason.OK)
    assert not blind(deepseek_web=Reason.DNS, openai_web=Reason.SERVER_ERROR, by_name=Reason.DNS, by_address=Reason.OK)


def test_refused_connections_are_the_vendors_while_a_bare_address_answers() -> None:
    assert not blind(deepseek_web=Reason.CONNECT, openai_web=Reason.CONNECT, by_address=Reason.OK)
    assert blind(deepseek_web=Reason.CONNECT, openai_web=Reason.CONNECT, by_address=Reason.CONNECT)


@pytest.mark.parametrize(("reason", "believed"), [(Reason.DNS, False), (Reason.CONNECT, True)])
def test_a_bare_address_confirms_a_refused_connection_but_no_missing_name(reason: Reason, *, believed: bool) -> None:
    eyes = Sight({ADDRESS_CONTROL: at(10)}, frozenset({"deepseek", "openai", ADDRESS_CONTROL}))
    assert eyes.proves("deepseek", reason, at(0), at(20), 30) is believed


def test_control_targets_are_told_apart_by_how_they_are_reached() -> None:
    eyes = sights([(held, state("o", held)) for held in WATCHED.values()])["local"]
    assert eyes.watched == {"deepseek", "openai", "", ADDRESS_CONTROL}
