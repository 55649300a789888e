"""What probes remember between looks, kept over a restart: one small JSON file per location, written atomically.

Budgets, the ways to sign up that were seen, a model's identity: a probe that forgot them would spend the day's budget
twice and take what is new for what was always so. The file is written from a copy, at most as often as
:meth:`Memories.save` is called, and losing it costs no more than what it holds.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from monitor.plain_files import private_folder
from monitor.probes.base import Kind
from monitor.text.redaction import forms_of, redacted

FORMAT = 1
MOST_BYTES_OF_A_PROBE = 64 * 1024
MOST_BYTES = 32 * 2**20


def memory_path(database: str, location: str) -> Path:
    """Return the file of a location: beside the spool, which lies beside an SQLite file, else under ``var``."""
    scheme, _, rest = database.partition(":///")
    file = rest.partition("?")[0]
    home = Path(file).parent if scheme.partition("+")[0] == "sqlite" and file else Path("var")
    return home / "spool" / f"{location}.memory.json"


class Memories:
    """The memories of a location's probes; without a file they live as long as the process."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lines: dict[str, str] = {}
        """Probe id → its kind and memory as JSON."""
        self._at: dict[str, float] = {}
        """Probe id → when that was remembered (Unix seconds)."""
        for probe, row in (_read(path) if path else {}).items():
            self._at[probe] = _number(row.pop("at", 0.0)) if isinstance(row, dict) else 0.0
            self._lines[probe] = json.dumps(row, separators=(",", ":"))
        self._news: set[str] = set()
        self._changed = False

    def of(self, probe: str, kind: str) -> dict[str, Any]:
        """Return what a probe remembers; nothing if it was of another kind."""
        return _of_kind(self._lines.get(probe, "{}"), kind)

    def keep(self, probe: str, kind: str, memory: dict[str, Any], secrets: Iterable[str], at: float = 0.0) -> None:
        """Take a copy of a memory as of ``at``. What is no JSON, holds a secret or is too large is left out."""
        if self._path is None or not (memory or probe in self._lines):
            return
        forms = forms_of(tuple(secrets))
        kept: dict[str, Any] = {}
        for key, value in memory.items():
            with suppress(TypeError, ValueError):
                text = json.dumps(value, ensure_ascii=False, allow_nan=False)
                if redacted(text, forms) == text:
                    kept[key] = value
        line = json.dumps({"kind": kind, "memory": kept}, separators=(",", ":"))
        if len(line) <= MOST_BYTES_OF_A_PROBE and line != self._lines.get(probe):
            self._lines[probe], self._at[probe] = line, at
            self._news.add(probe)
            self._changed = True

    def news(self) -> dict[str, tuple[float, str]]:
        """Return what changed since the last call, for the worker that may look next: probe → when, text."""
        found = {probe: (self._at[probe], self._lines[probe]) for probe in self._news if probe in self._lines}
        self._news.clear()
        return found

    def join(self, probe: str, kind: Kind, mine: dict[str, Any], at: float, text: str, now: datetime) -> dict[str, Any]:
        """Return a probe's memory after another worker looked at it: the newer one, joined as the kind says."""
        theirs = _of_kind(text, kind.name)
        newer, older = (theirs, mine) if at >= self._at.get(probe, 0.0) else (mine, theirs)
        found = kind.memory.join(dict(newer), older, now)
        if (kept := kind.memory.kept) in mine:
            found[kept] = mine[kept]
        return found

    def forget(self, known: Iterable[str]) -> None:
        """Keep the memories of these probes only."""
        gone = self._lines.keys() - set(known)
        for probe in gone:
            del self._lines[probe], self._at[probe]
        self._changed = self._changed or bool(gone)

    def copy(self) -> bytes | None:
        """Return the file's next content; ``None`` when there is nothing new to write."""
        if self._path is None or not self._changed:
            return None
        self._changed = False
        room, body = MOST_BYTES, []
        for probe, line in self._lines.items():
            row = f'{json.dumps(probe)}:{{"at":{self._at[probe]},{line[1:]}'
            room -= len(row) + 2
            if room < 0:
                break
            body.append(row)
        rows = ",\n".join(body)
        return f'{{"format":{FORMAT},"probes":{{\n{rows}\n}}}}\n'.encode()

    def write(self, content: bytes) -> None:
        """Replace the file; whoever reads it sees the old one or the new one. Raises ``OSError``. May block."""
        assert self._path is not None
        private_folder(self._path.parent)
        new = self._path.with_suffix(".new")
        with open(new, "wb", opener=_only_for_us) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)

    def failed(self) -> None:
        """Try again next time: the copy could not be written."""
        self._changed = True


def _only_for_us(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _of_kind(line: str, kind: str) -> dict[str, Any]:
    """Return the memory in a line; nothing if it is of another kind or makes no sense."""
    try:
        stored = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    memory = stored.get("memory") if isinstance(stored, dict) and stored.get("kind") == kind else None
    return memory if isinstance(memory, dict) else {}


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _read(path: Path) -> dict[str, Any]:
    """Return the stored memories; a file that is missing, torn, too large or of another format is an empty one."""
    try:
        if path.stat().st_size > 2 * MOST_BYTES:
            return {}
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        return {}
    probes = document.get("probes")
    return {str(probe): row for probe, row in probes.items()} if isinstance(probes, dict) else {}
