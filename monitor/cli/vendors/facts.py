"""The facts of a preset, each with its value, source and date, for people who wonder how much of it still holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from monitor.config.presets import folder
from monitor.config.yamltree import read

OWN_SERVER, CHAT_SERVICE, API_ONLY, WITNESS_ONLY = "your own server", "chat service", "API", "the vendor's word only"


@dataclass(frozen=True, slots=True)
class Fact:
    """One entry of ``sources``."""

    field: str
    """Dotted, members of lists by their id: ``probes.api-chat.options.base_url``."""
    value: Any
    source: str
    looked_up: date | None
    verified: bool
    feeds: tuple[str, ...]
    """The probes that it feeds; empty for what describes the service itself."""

    def age_days(self, today: date) -> int | None:
        """Return how old it is; None without a date."""
        return None if self.looked_up is None else (today - self.looked_up).days


@dataclass(frozen=True, slots=True)
class Preset:
    """A preset as data."""

    name: str
    service: str
    kind: str
    needs_address: bool
    """It asks for the address of a server of yours."""
    facts: tuple[Fact, ...]


def preset_facts(name: str) -> Preset:
    """Return a preset that comes along, by the name of its file."""
    document: dict[str, Any] = read(folder() / f"{name}.yaml", f"vendors/{name}.yaml").value
    facts = tuple(_fact(field, entry, document) for field, entry in document.get("sources", {}).items())
    needs = bool(document["parameters"].get("base_url", {}).get("required"))
    return Preset(name, str(document["service"]["name"]), _kind(document, needs), needs, facts)


def _kind(document: dict[str, Any], needs_address: bool) -> str:
    if needs_address:
        return API_ONLY if document["service"]["status_page"] else OWN_SERVER
    if all(probe.get("witness") for probe in document["probes"]):
        return WITNESS_ONLY
    return CHAT_SERVICE if any(part["kind"] == "web" for part in document["components"]) else API_ONLY


def _fact(field: str, entry: dict[str, Any], document: dict[str, Any]) -> Fact:
    try:
        at = date.fromisoformat(str(entry.get("date")))
    except ValueError:
        at = None
    feeds = _feeds(field, document["probes"])
    return Fact(field, _value(document, field), str(entry["source"]), at, entry.get("verified", True) is True, feeds)


def _value(node: Any, field: str) -> Any:
    for step in field.split("."):
        if isinstance(node, list):
            node = next((item for item in node if isinstance(item, dict) and item.get("id") == step), None)
        else:
            node = node.get(step) if isinstance(node, dict) else None
    return node.get("default") if field.startswith("parameters.") and isinstance(node, dict) else node


def _feeds(field: str, probes: list[dict[str, Any]]) -> tuple[str, ...]:
    room, _, rest = field.partition(".")
    if room == "probes":
        return (rest.partition(".")[0],)
    hole = f"{{{rest.partition('.')[0]}}}"
    return tuple(str(probe["id"]) for probe in probes if room == "parameters" and hole in str(probe["options"]))
