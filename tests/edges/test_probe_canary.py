"""The canary: questions that no cache knows, answers in any dress."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from monitor.probes.chat.answer.canary import Verdict, ask, verdict


@given(st.randoms(use_true_random=False), st.booleans())
def test_a_canary_is_right_in_any_dress_and_wrong_otherwise(rng: random.Random, long: bool) -> None:
    canary = ask(rng, long=long)
    n = canary.answer
    for text in (
        f"{n}",
        f"The sum is {n}.",
        f"**{n}**",
        f"= {n}\n",
        f"答案是{n}。",
        "".join(chr(ord(c) + 0xFEE0) for c in str(n)),
    ):
        assert verdict(canary, text, cut=False) is Verdict.RIGHT
    for text in (f"{n + 1}", f"1{n}", f"{n}0", f"{n}.5", f"0.{n}", "", "no"):
        assert verdict(canary, text, cut=False) is Verdict.WRONG
        assert verdict(canary, text, cut=True) is Verdict.NONE


def test_without_a_canary_there_is_no_verdict() -> None:
    assert verdict(None, "x", cut=False) is Verdict.NONE


def test_canaries_differ_from_look_to_look() -> None:
    rng = random.Random(1)
    assert len({ask(rng).question for _ in range(50)}) > 40
