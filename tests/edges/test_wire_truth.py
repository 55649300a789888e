"""The promise about time, measured: what the wire calls the wait is what the server says it was."""

from __future__ import annotations

import os

import pytest

from tests.bench import wire

pytestmark = pytest.mark.alone


@pytest.mark.load
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("block", [False, True])
def test_the_wait_is_true_to_half_a_millisecond_at_500_probes_a_second(scheme: str, block: bool) -> None:
    if (os.cpu_count() or 1) < 2:
        pytest.skip("needs two cores: one for the client and one for the server")
    with wire.bench() as on:
        found = wire.errors(on, "wire", scheme, mode="spread", rate=500, run_s=2.0, block=block)
    wait = found["wait"]
    assert abs(wait[int(len(wait) * 0.99)]) < wire.WAIT_CLAIM_MS
