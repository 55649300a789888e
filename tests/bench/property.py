"""The property test at length: memory and a database make the same of the same, over 2,000 random cases."""

from __future__ import annotations

import logging
import tempfile
import time
from pathlib import Path

from tests.judgement.empty import sqlite_files
from tests.judgement.same import play


def main(quick: bool) -> None:
    """Print how many cases were judged alike; raises on the first that was not."""
    logging.getLogger("chatwatch").setLevel(logging.ERROR)
    cases, began = 100 if quick else 2_000, time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="chatwatch-") as folder, sqlite_files(Path(folder)) as fresh:
        memory, database = play(cases, fresh)
    found = [(len(one.events), len(one.whys), len(one.rules), len(one.commands)) for one in (memory, database)]
    print(f"{cases:,} cases judged alike in memory and in SQLite, in {time.perf_counter() - began:,.0f} s")
    print("they reached {} kinds of events, {} reasons, {} rules and {} commands".format(*found[0]))
    assert found[0] == found[1]
