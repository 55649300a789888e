"""Lists of models that services told, kept beside ``probes.yaml``: what ``models: discover`` watches.

A start without the service still knows what was there, every machine with the file watches the same, and people can
read it. It holds names only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from monitor.plain_files import text_of

DISCOVER = "discover"
MOST = 20
"""So many of a list are watched: every model costs questions, and a gateway may list hundreds."""
KEPT_FOR = timedelta(days=7)
"""A model that left the list is watched for so long: the looks tell that it left."""
_LONGEST_NAME = 100
_MOST_BYTES = 2**20
_NO_CHAT = re.compile(
    r"embed|rerank|moderation|whisper|tts|transcri|speech|audio|realtime|live|image|dall-e|imagen|video|sora|veo|guard",
    re.IGNORECASE,
)
"""Words in names of models that answer no questions."""


@dataclass(frozen=True, slots=True)
class Listed:
    """The models of one service, in the order in which they were found."""

    models: tuple[str, ...] = ()
    missing: Mapping[str, date] = field(default_factory=dict)
    """Those that left the list, and since when."""


def place_of(config: Path) -> Path:
    """Return where the lists of a configuration are kept."""
    return config.with_name(f"{config.name}.models.json")


def merged(before: Listed, told: Iterable[str], today: date) -> Listed:
    """Return what is watched after a list was read: what was, as long as it is listed or just left, then what is new.

    A list that names nothing says nothing: it would end all watching.
    """
    names = [name for name in dict.fromkeys(told) if name and len(name) <= _LONGEST_NAME and not _NO_CHAT.search(name)]
    if not names:
        return before
    missing = {name: before.missing.get(name, today) for name in before.models if name not in names}
    missing = {name: since for name, since in missing.items() if today - since < KEPT_FOR}
    kept = [name for name in before.models if name in names or name in missing]
    return Listed((*kept, *(name for name in names if name not in kept))[:MOST], missing)


def read(path: Path) -> dict[str, Listed]:
    """Return service → its list; nothing where there is no file, and without what cannot be read of it."""
    try:
        stored = json.loads(text_of(path, _MOST_BYTES))
    except (OSError, ValueError):
        return {}
    found = {service: _listed(entry) for service, entry in stored.items()} if isinstance(stored, dict) else {}
    return {service: listed for service, listed in found.items() if listed.models}


def _listed(entry: Any) -> Listed:
    models = entry.get("models") if isinstance(entry, dict) else None
    names = [name for name in models if isinstance(name, str)] if isinstance(models, list) else []
    missing: dict[str, date] = {}
    since = entry.get("missing") if isinstance(entry, dict) else None
    for name, day in (since if isinstance(since, dict) else {}).items():
        with suppress(TypeError, ValueError):
            missing[name] = date.fromisoformat(day)
    return Listed(tuple(names[:MOST]), missing)


def write(path: Path, lists: Mapping[str, Listed]) -> None:
    """Write all lists, whole or not at all. Raises ``OSError``."""
    stored = {
        service: {"models": listed.models, "missing": {name: day.isoformat() for name, day in listed.missing.items()}}
        for service, listed in sorted(lists.items())
    }
    beside = path.with_name(f"{path.name}.new")
    beside.write_text(json.dumps(stored, indent=1, ensure_ascii=False) + "\n", "utf-8")
    beside.replace(path)
