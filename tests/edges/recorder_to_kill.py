"""Records results one batch after another and says what was acknowledged, until it is killed."""

from __future__ import annotations

import sys
from datetime import timedelta

from monitor import flow
from monitor.core.model import Reason
from monitor.store.engine import open_engine
from tests.edges.flowing import MINUTE, T0, look


def main(url: str, first: int) -> None:
    """Take minutes from ``first`` on; every tenth ten of them the service fails."""
    engine = open_engine(url)
    for minute in range(first, first + 100_000):
        at = T0 + minute * MINUTE
        reason = Reason.SERVER_ERROR if minute // 10 % 3 == 1 else Reason.OK
        batch = [look("ds-api", at, reason), look("oa-api", at)]
        flow.record(engine, batch, at + timedelta(seconds=1))
        flow.sweep(engine, at + timedelta(seconds=30))
        if minute % 20 == 19:
            flow.roll_up(engine, at + timedelta(seconds=40))
        print(minute, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
