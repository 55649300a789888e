"""What the method page shows: the closed sets and the policy in force."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, NamedTuple

from dashboard.words import Words
from monitor.core.catalogue import Catalogue, Policy
from monitor.core.model.reasons import Outcome, Reason
from monitor.core.model.registration import Source
from monitor.core.model.states import Health
from monitor.text.cleaner import plain

STATES = (*(str(health) for health in Health if health is not Health.UNKNOWN), "maintenance", "unknown")


class PolicyRow(NamedTuple):
    """A threshold on the method page."""

    name: str
    label: str
    value: str
    others: str


def method_page(words: Words, catalogue: Catalogue) -> dict[str, Any]:
    """Return what the method page shows: the enums and the policy in force."""
    groups = ("service", "degraded", "account", "probe", "missed")
    by_scope = {scope: [reason for reason in Reason if str(reason).partition(".")[0] == scope] for scope in groups}
    return {
        "states": STATES,
        "outcomes": list(Outcome),
        "scopes": [(words(f"scope_{scope}"), reasons) for scope, reasons in by_scope.items()],
        "sources": sorted(Source, key=lambda source: -source.weight),
        "policies": policy_rows(words, catalogue),
    }


def policy_rows(words: Words, catalogue: Catalogue) -> list[PolicyRow]:
    """Return every threshold: the commonest value in force, and the probes that differ from it."""
    rows = []
    for field in fields(Policy) if catalogue.probes else ():
        held: dict[str, list[str]] = {}
        for probe in catalogue.probes:
            held.setdefault(policy_value(words, field.name, getattr(probe.policy, field.name)), []).append(probe.id)
        usual = max(held, key=lambda value: len(held[value]))
        others = [
            words("policy_probe", value=value, probes=words.join(plain(probe, 60) for probe in probes[:4]))
            for value, probes in held.items()
            if value != usual
        ]
        label = words.section("policy", field.name)
        rows.append(PolicyRow(field.name, label, usual, words("comma").join(others)))
    return rows


def policy_value(words: Words, name: str, value: Any) -> str:
    """Return a threshold with its unit, told by its name."""
    if isinstance(value, bool):
        return words("yes" if value else "no")
    if name.startswith("publish_"):
        return words(str(value))
    if name.endswith("_s"):
        return words.duration(value) if value >= 1 else words.latency(value)
    if name.endswith("_ratio"):
        return f"{words.number(100 * value)} %"
    if name.endswith("_percent"):
        return f"{words.number(value)} %"
    return words.number(value) if value == int(value) else words.number(value, 1)
