"""A fresh small question whose answer can be checked. A wrong answer is a soft signal and never pages by itself."""

from __future__ import annotations

import random
import re
import unicodedata
from enum import Enum
from typing import NamedTuple

_JUDGED_CHARS = 20_000
"""More than any answer within our token limits; folding one letter of a stranger's may yield eighteen."""


class Verdict(Enum):
    """What the answer was."""

    RIGHT = "right"
    WRONG = "wrong"
    """Another number, a refusal, or no number at all."""
    NONE = "none"
    """Nothing to judge: no canary was asked, or the answer was cut off."""


class Canary(NamedTuple):
    """A question and the number that answers it."""

    question: str
    answer: int

    @property
    def asked(self) -> str:
        """What was asked for, for people."""
        return "a sum"


def ask(rng: random.Random, *, long: bool = False) -> Canary:
    """Make a sum that no cache can know. The long form asks for prose behind it, so that the pace can be measured."""
    a, b = rng.randint(12, 89), rng.randint(12, 89)
    if long:
        tail = "Write the number first, then about 150 words on how rain forms."
    else:
        tail = "Reply with the number only, in digits."
    return Canary(f"What is {a} + {b}? {tail}", a + b)


def verdict(canary: Canary | None, text: str, *, cut: bool) -> Verdict:
    """Look for the number, standing by itself, anywhere in the answer; full-width digits are fine."""
    if canary is None:
        return Verdict.NONE
    plain = unicodedata.normalize("NFKC", text[:_JUDGED_CHARS])
    if re.search(rf"(?<![\d.]){canary.answer}(?!\d|\.\d)", plain):
        return Verdict.RIGHT
    return Verdict.NONE if cut else Verdict.WRONG
