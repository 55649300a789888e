"""More than a hundred documents in the shapes of status pages, bad ones among them: none may be misread.

A file of ``tests/edges/pages`` for each platform; a case is a whole document, or a fixture with some values changed.
"""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor.core.model.upstream import UpstreamIncident, UpstreamReading
from monitor.probes.answers import parse_json
from monitor.probes.upstream.mapping import attributed, mapped
from monitor.probes.upstream.parts import Look, UnreadableError
from monitor.probes.upstream.platforms import PLATFORMS
from tests.edges.site import FIXTURES, NOW

FILES = sorted((Path(__file__).parent / "pages").glob("*.yaml"))
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
CASES = [
    (file.stem, case)
    for file in FILES
    for case in yaml.load(file.read_text(encoding="utf-8"), LOADER)  # safe loaders both
]
KEYS = {"case", "doc", "from", "utf16", "text", "entries", "atom", "set", "map", "watched", "history", "now", "expect"}


def changed(document: Any, changes: dict[str, Any]) -> Any:
    """Return a document with values set by their path; null takes a key away, ``+`` appends to a list."""
    found = copy.deepcopy(document)
    for path, value in changes.items():
        *steps, last = path.split(".")
        node = found
        for step in steps:
            node = node[int(step) if isinstance(node, list) else step]
        key = int(last) if isinstance(node, list) and last != "+" else last
        if key == "+":
            node.append(value)
        elif value is None:
            del node[key]
        else:
            node[key] = value
    return found


def document(case: dict[str, Any]) -> Any:
    """Return what the page answers: JSON as parsed, or the bytes of a feed."""
    if "text" in case:
        return case["text"].encode()
    if entries := case.get("entries"):
        items = "".join(f"<item>{entry}</item>" for entry in entries)
        return f'<?xml version="1.0"?><rss version="2.0"><channel><title>S</title>{items}</channel></rss>'.encode()
    if entries := case.get("atom"):
        items = "".join(f"<entry>{entry}</entry>" for entry in entries)
        return f'<feed xmlns="http://www.w3.org/2005/Atom"><title>S</title>{items}</feed>'.encode()
    kept = case.get("doc")
    if name := case.get("from") or case.get("utf16"):
        kept = parse_json((FIXTURES / name).read_bytes())
    return changed(kept, case.get("set", {}))


def read(platform: str, case: dict[str, Any], look: Look) -> UpstreamReading | list[UpstreamIncident | None]:
    kind, body = PLATFORMS[platform], document(case)
    if case.get("history"):
        assert kind.history is not None
        return kind.history(body, look)
    if kind.is_markup and not isinstance(body, bytes):
        return kind.read(json.dumps(body).encode(), look)
    if isinstance(body, bytes) and not kind.is_markup:
        try:
            body = parse_json(body)
        except ValueError as error:  # as the probe does before the reader is asked
            raise UnreadableError(str(error)) from None
    return kind.read(body, look)


def told(at: datetime | None) -> str | None:
    """Return a time as the files write it: the hour of the day that all is looked at, else the day as well."""
    return None if at is None else f"{at:%H:%M}" if at.date() == NOW.date() else f"{at:%Y-%m-%dT%H:%M}"


def rows(incidents: list[UpstreamIncident]) -> list[list[str | None]]:
    return [
        [one.id, one.status and str(one.status), str(one.impact), told(one.started_at), told(one.resolved_at)]
        for one in incidents
    ]


def test_there_are_documents_of_every_platform_and_more_than_a_hundred() -> None:
    assert {file.stem for file in FILES} == set(PLATFORMS)
    assert len(CASES) >= 100
    assert not [case["case"] for _platform, case in CASES if set(case) - KEYS]


@pytest.mark.parametrize(("platform", "case"), [pytest.param(*one, id=f"{one[0]}: {one[1]['case']}") for one in CASES])
def test_no_document_of_a_status_page_is_misread(platform: str, case: dict[str, Any]) -> None:
    now = datetime.fromisoformat(case["now"]).astimezone(UTC) if "now" in case else NOW
    mapping, expect = case.get("map", {}), case["expect"]
    look = Look(now, "https://status.example", platform, tuple(case.get("watched", mapping)))
    if expect.get("unreadable"):
        with pytest.raises(UnreadableError):
            read(platform, case, look)
        return
    found = read(platform, case, look)
    if not isinstance(found, UpstreamReading):
        if "incidents" in expect:
            assert rows([one for one in found if one]) == expect["incidents"]
        return
    states, vanished = mapped(found, mapping, look)
    incidents, _titled = attributed(found, look, mapping, {})
    seen: dict[str, Any] = {
        "indicator": str(found.indicator),
        "mapped": {ours: str(health) for ours, health in states.items()},
        "vanished": list(vanished),
        "components": {key: str(health) for key, health in found.components.items()},
        "incidents": rows(list(incidents)),
        "ours": {one.id: list(one.ours) for one in incidents if one.ours},
        "said": {one.id: [update.body for update in one.updates] for one in incidents},
        "warn": sorted(str(code) for code in look.odd),
    }
    if "components" in expect:
        seen["components"] = {key: seen["components"].get(key) for key in expect["components"]}
    assert {key: seen[key] for key in expect} == expect
