"""How long a block of ours waits for an answer of the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ANSWER_S: ContextVar[float | None] = ContextVar("answer_s", default=None)


@contextmanager
def answered_within(seconds: float) -> Iterator[None]:
    """Give PostgreSQL up, with an error of the engine's ``AWAY``, when it leaves a statement of this block unanswered.

    No setting of the server's or of TCP's does that: the kernel of a stopped server still acknowledges what is sent.
    Whether a commit that was not answered took place is open, so only what may be repeated belongs in the block.
    """
    token = _ANSWER_S.set(seconds)
    try:
        yield
    finally:
        _ANSWER_S.reset(token)


def answer_limit() -> float | None:
    """Return what :func:`answered_within` set; None where the answer may take as long as it does."""
    return _ANSWER_S.get()
