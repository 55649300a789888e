"""The stored answers: raw bytes in ``answers/SERVER/ID.raw``, what they are in ``answers/SERVER/answers.yaml``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent / "answers"
HAND = "by hand"
"""The version of what no server here sent: oddities known from elsewhere, written down."""


@dataclass(frozen=True)
class Kept:
    """One answer."""

    server: str
    version: str
    id: str
    request: str
    kind: str
    """How Chatwatch looks at it: ``http``, ``chat``, ``anthropic``, ``dns``, ``tls``, or ``registration``."""
    options: Mapping[str, Any]
    expected: str
    """The reason that Chatwatch's look must have."""
    warnings: tuple[str, ...]
    """Warnings that the look must carry."""
    why: str
    """Why others see it otherwise, or why it is right, where that is not plain."""
    raw: bytes

    @property
    def name(self) -> str:
        """Server and answer, as one word."""
        return f"{self.server}/{self.id}"

    @property
    def is_captured(self) -> bool:
        """True for what a real server sent."""
        return not self.version.startswith(HAND)


def documents() -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the description of each server's answers."""
    for path in sorted(FOLDER.glob("*/answers.yaml")):
        yield path, yaml.safe_load(path.read_text(encoding="utf-8"))


def kept() -> list[Kept]:
    """Return every stored answer."""
    return [_kept(path.parent, document, row) for path, document in documents() for row in document["answers"]]


def _kept(folder: Path, document: dict[str, Any], row: dict[str, Any]) -> Kept:
    return Kept(
        folder.name,
        str(document["version"]),
        row["id"],
        row["request"],
        row.get("kind", "http"),
        row.get("options", {}),
        row.get("expected", ""),
        tuple(row.get("warnings", ())),
        row.get("why", ""),
        (folder / f"{row['id']}.raw").read_bytes(),
    )


def store(server: str, version: str, needs: str, rows: list[dict[str, Any]], raw: Mapping[str, bytes]) -> None:
    """Store the answers of a server; what people wrote of an answer before (expected, warnings, why) stays."""
    folder = FOLDER / server
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "answers.yaml"
    before = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {"answers": []}
    known = {row["id"]: row for row in before["answers"]}
    for row in rows:
        old = known.get(row["id"], {})
        row.update({key: old[key] for key in ("expected", "warnings", "why") if key in old})
    for stale in folder.glob("*.raw"):
        if stale.stem not in raw:
            stale.unlink()
    for name, data in raw.items():
        (folder / f"{name}.raw").write_bytes(data)
    document = {"server": server, "version": version, "needs": needs, "answers": rows}
    write(path, document)


def write(path: Path, document: dict[str, Any]) -> None:
    """Write a description."""
    path.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=140), encoding="utf-8")
