"""Three sentences to embed, two of which say the same: their vectors must be the nearest.

A server that answers with zeros, with the vectors of another model or with those of other texts answers with HTTP 200.
"""

from __future__ import annotations

import math
import random
from typing import NamedTuple

from monitor.probes.chat.answer.canary import Verdict
from monitor.probes.chat.answer.reply import Reply, Vector

_PAIRS = (
    ("Train {n} is twenty minutes late.", "There is a delay of twenty minutes on train {n}."),
    ("Invoice {n} has not been paid yet.", "We are still waiting for the payment of invoice {n}."),
    ("Heavy rain is expected at station {n} tomorrow.", "Tomorrow, wet weather is forecast for station {n}."),
    ("Cat {n} of the shelter sleeps on the sofa.", "On the couch, cat {n} of the shelter is taking a nap."),
    ("The doctor in room {n} treats patients with a fever.", "Feverish people are seen by the physician in room {n}."),
)


class Likeness(NamedTuple):
    """The sentences and which of them is about something else."""

    texts: tuple[str, ...]
    odd: int
    asked: str = "vectors of like sentences"

    def verdict(self, reply: Reply) -> Verdict:
        """Judge the vectors: one for each sentence, of one length, and the like ones nearest to each other."""
        vectors = reply.vectors
        if len(vectors) != len(self.texts) or len({len(vector) for vector in vectors}) != 1:
            return Verdict.WRONG
        one, other = (vector for number, vector in enumerate(vectors) if number != self.odd)
        odd = vectors[self.odd]
        return Verdict.RIGHT if cosine(one, other) > max(cosine(one, odd), cosine(other, odd)) else Verdict.WRONG


def cosine(one: Vector, other: Vector) -> float:
    """Return how alike two vectors are, -1 to 1; not a number for one without length, which is like nothing."""
    product = sum(a * b for a, b in zip(one, other, strict=True))
    length = math.hypot(*one) * math.hypot(*other)
    return product / length if length and math.isfinite(length) else math.nan


def likeness(rng: random.Random) -> Likeness:
    """Make sentences that no cache knows."""
    same, strange = rng.sample(_PAIRS, 2)
    number = rng.randint(1000, 9999)
    odd = rng.randrange(3)
    texts = [text.format(n=number) for text in same]
    texts.insert(odd, rng.choice(strange).format(n=number))
    return Likeness(tuple(texts), odd)
