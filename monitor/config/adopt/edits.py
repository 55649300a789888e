"""Which parts of the file have to change for a wish: named policies, and who names them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from monitor.config.adopt.splice import Path_, Splices
from monitor.config.adopt.wish import Wish
from monitor.config.yamltree import Tree, parse
from monitor.core.checks.former import FORMER

DEFAULT = "default"


def spliced(text: str, path: Path, ids: Sequence[str], wish: Wish) -> str:
    """Return the text of a file with the changes in it; ``ids`` are its services in order."""
    tree = parse(text.encode("utf-8"), Tree(str(path)))
    document: Mapping[str, Any] = tree.value
    policies = document.get("policies") or {}
    rows = [("services", place) for place in range(len(document.get("services") or ()))]
    chosen = [
        row for row, name in zip(rows, ids, strict=False) if wish.service in ("", name)
    ]  # after them come controls
    splices = Splices(text)
    if wish.policy:
        for name, value in wish.changes.items():
            splices.set(("policies", wish.policy), name, value)
        for place in chosen:
            _name(splices, document, place, wish.policy)
    elif wish.service:
        users = Counter(name for row in rows for _, name in _naming(document, row))
        for place in chosen:
            _own_names(splices, document, users, place, wish)
    else:
        names = {*wish.changes, *(name.removesuffix("_s") for name in FORMER)}
        touched = [name for name, given in policies.items() if name != DEFAULT and names & given.keys()]
        _set(splices, dict.fromkeys((DEFAULT, *touched), wish.changes), policies)
    return splices.result()


def _set(splices: Splices, news: Mapping[str, Mapping[str, Any]], policies: Mapping[str, Any]) -> None:
    """Give policies of the file thresholds: those that it has first, new ones in one piece."""
    absent = {name: given for name, given in news.items() if not policies.get(name)}
    for name, given in news.items():
        if name not in absent:
            for key, value in given.items():
                splices.set(("policies", name), key, value)
    if not policies and absent:
        splices.set((), "policies", absent)
        return
    for name, given in absent.items():
        splices.set(("policies",), name, given)


def _name(splices: Splices, document: Mapping[str, Any], place: Path_, policy: str) -> None:
    """Let a service and all its parts use a policy."""
    splices.set(place, "policy", policy)
    for path, name in _naming(document, place):
        if path != place and name != policy:
            splices.set(path, "policy", policy)


def _own_names(
    splices: Splices, document: Mapping[str, Any], users: Mapping[str, int], place: Path_, wish: Wish
) -> None:
    """Change the policies that a service uses, each under a name of its own where others use it as well."""
    policies = document.get("policies") or {}
    inside = dict(_naming(document, place))
    within = Counter(inside.values())
    inside.setdefault(place, DEFAULT)
    news: dict[str, Mapping[str, Any]] = {}
    for old in dict.fromkeys(inside.values()):
        if old != DEFAULT and users[old] == within[old]:
            news[old] = wish.changes
            continue
        own = wish.service if old == DEFAULT else f"{wish.service}-{old}"[:63]
        while own in policies or own in news:
            own = f"{own[:60]}-2"
        given = policies.get(old) if old != DEFAULT else None
        news[own] = {**(given or {}), **wish.changes}
        for path in [path for path, name in inside.items() if name == old]:
            splices.set(path, "policy", own)
    _set(splices, news, policies)


def _naming(document: Mapping[str, Any], place: Path_) -> Iterator[tuple[Path_, str]]:
    """Yield (place, policy) of a service and its parts, where they name one."""
    row = document[str(place[0])][place[1]]
    if row.get("policy"):
        yield place, row["policy"]
    for kind in ("components", "probes"):
        for index, part in enumerate(row.get(kind) or []):
            if isinstance(part, dict) and part.get("policy"):
                yield (*place, kind, index), part["policy"]
