"""Fixtures of the doors."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def own_main() -> Iterator[None]:
    """Streamlit's AppTest leaves its page behind as ``__main__``, which later child processes would run again."""
    before = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = before
