"""A recorded outage as a scenario: the inverse of playing one, look for look."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from monitor.core.catalogue import Catalogue, Policy, Probe
from monitor.core.checks import pace
from monitor.core.checks.steps import counted
from monitor.core.checks.suspicion import CALM
from monitor.core.doubt.keys import speaks_of_trouble
from monitor.core.model.depth import GOT
from monitor.core.model.observations import Observation, Result
from monitor.core.model.reasons import Outcome
from monitor.core.model.registration import MethodReading
from monitor.core.model.upstream import UpstreamIncident, UpstreamReading
from monitor.core.scenario.notation import LETTERS, offset, reach_of
from monitor.core.schedule import from_micros, micros

_LETTER = {reason: letter for letter, reason in LETTERS.items()}


def export(catalogue: Catalogue, results: Iterable[Result], name: str, about: str = "") -> dict[str, Any]:
    """Return a scenario, ready to be written as YAML, that plays the results again; what must follow is left empty.

    Ticks that nobody recorded become missed looks, so that the others keep their place.
    """
    ordered = sorted(results, key=lambda item: (item.run.tick, item.run.attempt))
    if not ordered:
        raise ValueError("nothing was recorded in that time")
    start = from_micros(micros(ordered[0].run.tick) // 1_000_000 * 1_000_000)
    probes = {probe.id: probe for probe in catalogue.probes}
    used = dict.fromkeys(result.run.probe for result in ordered if result.run.probe in probes)
    first = {id_: next(item.run.tick for item in ordered if item.run.probe == id_) for id_ in used}
    words: dict[str, dict[str, Any]] = {}
    scenario: dict[str, Any] = {
        "name": name,
        "about": about or "Exported from what was recorded.",
        "start": start.isoformat(),
        "probes": {id_: _probe(probes[id_], exact(first[id_], start)) for id_ in used},
        "looks": _looks([item for item in ordered if item.run.probe in used], probes, first, words, start),
    }
    parents = {item.id: {"kind": item.kind.value, "depends_on": list(item.depends_on)} for item in catalogue.components}
    spoken = {probes[id_].component for id_ in used}
    scenario["components"] = {id_: facts for id_, facts in parents.items() if id_ in spoken}
    return scenario | ({"words": words} if words else {})


def exact(at: datetime, start: datetime) -> str:
    """Write a moment as milliseconds after the start, to the microsecond."""
    return f"{micros(at) // 1000 - micros(start) // 1000}.{micros(at) % 1000:03}".removesuffix(".000") + "ms"


def _probe(probe: Probe, begins: str) -> dict[str, Any]:
    out: dict[str, Any] = {
        "component": probe.component,
        "kind": probe.kind,
        "proves": probe.proves.value,
        "interval": f"{probe.interval_s}s",
        "timeout": f"{probe.timeout_s:g}s",
        "offset": begins,
        "locations": list(probe.locations),
        "impact_when_down": probe.impact_when_down.value,
    }
    out |= {name: str(value) for name in ("target", "key") if (value := getattr(probe, name))}
    out |= {"reach": probe.reach.value} if probe.reach is not reach_of(probe.kind) else {}
    out |= {flag: True for flag in ("witness", "control") if getattr(probe, flag)}
    blank = Policy()
    changed = {f: getattr(probe.policy, f) for f in Policy.__slots__ if getattr(probe.policy, f) != getattr(blank, f)}
    return out | ({"policy": {f: getattr(value, "value", value) for f, value in changed.items()}} if changed else {})


def _looks(
    results: Sequence[Result],
    probes: dict[str, Probe],
    first: dict[str, datetime],
    words: dict[str, dict[str, Any]],
    start: datetime,
) -> dict[str, str]:
    """Return the notation per ``probe@location``; observations that carry readings become words of the scenario."""
    series: dict[str, dict[int, list[Result]]] = {}
    for result in results:
        run = result.run
        number = round((run.tick - first[run.probe]).total_seconds() / probes[run.probe].interval_s)
        series.setdefault(f"{run.probe}@{run.location}", {}).setdefault(number, []).append(result)
    return {
        name: compress(list(_ticks(probes[name.rpartition("@")[0]], by_tick, words, start)))
        for name, by_tick in series.items()
    }


def _ticks(
    probe: Probe, by_tick: Mapping[int, Sequence[Result]], words: dict[str, dict[str, Any]], start: datetime
) -> Iterator[str]:
    """Yield the looks of each tick; ``/.`` says that no more followed where one might have."""
    known = pace.START
    for number in range(max(by_tick) + 1):
        results = by_tick.get(number, ())
        for result in results:
            known, _ = pace.after(known, probe, result, 0.0)
        more = known.suspicion is not CALM or (bool(results) and results[-1].outcome is Outcome.FAILED)
        spoken = [_word(result.observation, probe.policy, words, start) for result in results]
        yield "/".join([*spoken, *(["."] if more else [])]) if spoken else "-"


def _word(seen: Observation, policy: Policy, words: dict[str, dict[str, Any]], start: datetime) -> str:
    reason = counted(seen, policy)
    told = seen.http_status is not None and GOT[reason] is None
    refused = speaks_of_trouble(seen)
    if not (seen.registration or seen.upstream is not None or told or refused) and seen.with_key:
        return _LETTER.get(reason, reason.value)
    meaning: dict[str, Any] = {"reason": reason.value}
    if told:  # the reason alone does not say that the target was reached
        meaning["status"] = seen.http_status
    if refused:
        meaning["detail"] = seen.detail
    if not seen.with_key:
        meaning["with_key"] = False
    if seen.registration:
        meaning["registration"] = [_reading(item) for item in seen.registration]
    if seen.upstream is not None:
        meaning["upstream"] = _upstream(seen.upstream, start)
    known = next((name for name, found in words.items() if found == meaning), None)
    if known is None:
        known = f"said{len(words) + 1}"
        words[known] = meaning
    return known


def _reading(item: MethodReading) -> dict[str, Any]:
    out: dict[str, Any] = {"method": item.method.value, "state": item.state.value, "source": item.source.value}
    for name in ("country_codes", "email_domains", "invite_required", "approval_required", "excerpt", "url"):
        value = getattr(item, name)
        if value:
            out[name] = list(value) if isinstance(value, tuple) else value
    if item.failed_ratio is not None:
        out["failed_ratio"] = item.failed_ratio
    return out


def _upstream(item: UpstreamReading, start: datetime) -> dict[str, Any]:
    return {
        "provider": item.provider,
        "url": item.page_url,
        "indicator": item.indicator.value,
        "incidents": [_incident(one, start) for one in item.incidents],
    }


def _incident(item: UpstreamIncident, start: datetime) -> dict[str, Any]:
    updates = [
        {"at": offset(one.at, start), "body": one.body} | ({"status": one.status.value} if one.status else {})
        for one in item.updates
    ]
    told: dict[str, Any] = {"id": item.id, "name": item.name, "impact": item.impact.value, "url": item.url}
    told |= {"updates": updates} | ({"components": list(item.ours)} if item.ours else {})
    return told | ({"resolved": offset(item.resolved_at, start)} if item.resolved_at is not None else {})


def compress(words: Sequence[str]) -> str:
    """Write a run of equal looks as one word and its count."""
    out: list[tuple[str, int]] = []
    for word in words:
        if out and out[-1][0] == word:
            out[-1] = (word, out[-1][1] + 1)
        else:
            out.append((word, 1))
    return " ".join(word if times == 1 else f"{word}*{times}" for word, times in out)
