"""A new kind of probe is one file: it is found, its faults are told, and it looks."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.doors.running import ROOT
from tests.edges.hostile import OK_HEAD, says, serve

SMOKE = """
from monitor.core.model.observations import Observation
from monitor.core.model.reasons import Reason
from monitor.probes import base
from monitor.probes.base import Context, Kind


class Options(base.Options):
    url: str
    word: str = "smoke"


async def run(options: Options, ctx: Context) -> Observation:
    answer = await ctx.wire.fetch("GET", options.url, limits=ctx.limits())
    found = options.word.encode() in answer.body
    return Observation(Reason.OK if found else Reason.CONTENT, f"{options.word} seen", http_status=answer.status)


KIND = Kind("smoke", Options, run, speaks_http=True)
"""
PROBES = """
allow_networks: [127.0.0.0/8]
services:
  - id: sim
    name: Simulated
    components: [{{id: web, name: Web}}]
    probes: [{{id: chimney, component: web, kind: {kind}, options: {{url: "http://127.0.0.1:{port}/", {more}}}}}]
"""


def chatwatch(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "monitor", *words, "--config", str(folder / "probes.yaml")]
    environ = os.environ | {"PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)


def configure(folder: Path, port: int = 9, kind: str = "smoke", more: str = "word: fire") -> None:
    (folder / "probes.yaml").write_text(PROBES.format(port=port, kind=kind, more=more), encoding="utf-8")


def test_a_kind_of_one_new_file_is_checked_and_looks(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "monitor", tmp_path / "monitor", ignore=shutil.ignore_patterns("__pycache__"))
    configure(tmp_path)
    before = chatwatch(tmp_path, "check")
    assert before.returncode == 1
    assert 'unknown probe kind "smoke"' in before.stderr
    (tmp_path / "monitor" / "probes" / "smoke.py").write_text(SMOKE, encoding="utf-8")
    assert chatwatch(tmp_path, "check").returncode == 0
    configure(tmp_path, kind="smok")
    assert 'did you mean "smoke"' in chatwatch(tmp_path, "check").stderr
    configure(tmp_path, more="colour: red")
    assert 'probes.yaml:7: P010 unknown key "colour"' in chatwatch(tmp_path, "check").stderr

    async def look() -> subprocess.CompletedProcess[str]:
        async with serve(says(OK_HEAD + b"content-length: 9\r\n\r\nfire here")) as port:
            configure(tmp_path, port)
            return await asyncio.to_thread(chatwatch, tmp_path, "probe", "sim-chimney")

    done = asyncio.run(look())
    assert done.returncode == 0, done.stderr
    assert "fire seen" in done.stdout
