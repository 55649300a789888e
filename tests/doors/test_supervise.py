"""What the supervisor hands on to its programs."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from pathlib import Path

import pytest

from monitor.config.settled import Settings
from monitor.runtime.programs import doors
from monitor.runtime.supervisor import Group, Program, Supervisor

SHOW = "import os, sys; open(sys.argv[1], 'w').write(repr(sorted(os.environ)))"


def test_a_door_gets_no_secret_of_a_probe_and_the_worker_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_VENDORS_KEY", "canary-key")
    monkeypatch.setenv("CHATWATCH_DATABASE", "dbname=somewhere")
    monkeypatch.setenv("PGSERVICE", "watch")
    monkeypatch.setenv("PG_VENDORS_KEY", "canary-key")
    groups = [
        Group((Program(name, ("-c", SHOW, str(tmp_path / name)), open_to_visitors=name == "door"),))
        for name in ("door", "worker")
    ]

    def until_both_wrote() -> None:
        while not all((tmp_path / name).exists() and (tmp_path / name).read_text() for name in ("door", "worker")):
            time.sleep(0.02)

    async def scene() -> None:
        supervisor = Supervisor(groups)
        running = asyncio.create_task(supervisor.run())
        await asyncio.to_thread(until_both_wrote)
        supervisor.stop()
        await running

    asyncio.run(scene())
    assert "SOME_VENDORS_KEY" in (tmp_path / "worker").read_text()
    seen = (tmp_path / "door").read_text()
    assert "SOME_VENDORS_KEY" not in seen
    assert "PG_VENDORS_KEY" not in seen
    assert "CHATWATCH_DATABASE" in seen
    assert "PGSERVICE" in seen, "what the database's address leaves out"
    assert os.environ["SOME_VENDORS_KEY"] == "canary-key"


def test_a_program_that_cannot_be_started_is_told_in_a_line_and_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    group = Group((Program("sleeps", ("-c", "import time; time.sleep(60)")), Program("large", ("-c", "#" * 200_000))))

    begun: set[int] = set()

    async def scene() -> None:
        supervisor = Supervisor([group])
        running = asyncio.create_task(supervisor.run())

        def until_tried_twice() -> None:
            while len(caplog.records) < 2:
                with suppress(RuntimeError):  # it changes while we look
                    begun.update(supervisor.running.values())
                time.sleep(0.002)

        await asyncio.to_thread(until_tried_twice)
        supervisor.stop()
        await running

    asyncio.run(scene())
    assert caplog.records[0].getMessage() == (
        "Cannot start sleeps and large, trying again in 0.5 s: Argument list too long"
    )
    assert begun
    for pid in begun:
        with pytest.raises(ProcessLookupError):  # what had been started is not left over
            os.kill(pid, 0)


def test_all_three_doors_are_open_to_visitors() -> None:
    assert [program.open_to_visitors for group in doors(Settings()) for program in group.programs] == [True] * 3
