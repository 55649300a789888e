"""One look, told to a person in a terminal: where the time went, what was seen, and what the rules make of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from monitor.core.alerts.conditions import own_trouble
from monitor.core.alerts.warnings import ALERTS
from monitor.core.catalogue import Probe
from monitor.core.checks import pace
from monitor.core.checks.sequential import rule_of
from monitor.core.checks.slowness import SLOW_LOOKS, WINDOW_LOOKS
from monitor.core.codec import dumps_result
from monitor.core.model.observations import ChatTimes, Observation, Phases, Result
from monitor.core.model.reasons import Outcome, Reason
from monitor.core.model.warning_codes import AnyWarning, code_of
from monitor.probes.base import shown_url
from monitor.probes.marks import MEMORY, PageOptions
from monitor.text.cleaner import plain
from monitor.text.countries import country
from monitor.text.lexicon import lexicon
from monitor.text.messages import told

WIDTH = 44
_COLOURS = {Outcome.OK: "green", Outcome.SLOW: "yellow", Outcome.FAILED: "red"}
_PHASES = (
    ("DNS", "dns_s"),
    ("connect", "connect_s"),
    ("TLS", "tls_s"),
    ("send", "request_s"),
    ("wait", "wait_s"),
    ("transfer", "transfer_s"),
)


def one_line(probe: Probe, result: Result) -> str:
    """Return the result in one line."""
    status = f" HTTP {result.observation.http_status}" if result.observation.http_status else ""
    detail = f": {told(result.observation.detail, lexicon())}" if result.observation.detail else ""
    return f"{probe.id} {result.outcome} {result.reason}{status} in {result.duration_s:.3f} s{detail}"


def told_of_page(options: object, memory: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return what a look that opened a page found of the product's marks, and how far it is in learning them."""
    if not isinstance(options, PageOptions) or not (options.marks or MEMORY in memory):
        return ()
    known = options.recall(memory)
    if known.at:
        at = datetime.fromtimestamp(known.at, UTC)
        learned = f"learned {at:%Y-%m-%d %H:%M} UTC from {known.looks} good looks at {shown_url(known.url)}"
    else:
        judge = "the declared marks decide" if options.marks else "the status judges"
        learned = f"learning, {known.progress()}; until then {judge}"
        learned += f"; borne so far: {', '.join(list(known.counts)[:8])}" if known.counts else ""
    return (
        ("Marks found", ", ".join(known.found) or "none"),
        ("Marks missing", ", ".join(known.missing) or "none"),
        ("Marks", learned),
    )


def explained(probe: Probe, result: Result, page: Iterable[tuple[str, str]] = ()) -> None:
    """Print everything that one look tells; ``page`` is what :func:`told_of_page` says."""
    console = Console(highlight=False)
    console.print(Text(one_line(probe, result), _COLOURS.get(result.outcome, "grey50")))
    if result.observation.phases is not None:
        console.print(waterfall(result.observation.phases, result.observation.chat))
    grid = Table(box=None, show_header=False, pad_edge=False)
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    for name, value in (*_facts(probe, result), *page):
        grid.add_row(name, Text(plain(value, 600)))
    console.print(grid)


def waterfall(phases: Phases, chat: ChatTimes | None = None) -> Table:
    """Return the phases as bars on one scale, in the order in which they happened.

    The body of a streamed answer is shown as two: until its first token, and the tokens. Spans too short to draw get a
    thin mark.
    """
    spans = _spans(phases, chat)
    total = max((start + span for _, start, span in spans), default=0.0) or 1.0
    grid = Table(box=None, show_header=False, pad_edge=False)
    for name, start, span in spans:
        left = min(WIDTH - 1, round(start / total * WIDTH))
        width = min(WIDTH - left, round(span / total * WIDTH))
        bar = Text(" " * left + ("█" * width or "▏"), "cyan")
        grid.add_row(name, f"{span * 1000:9.1f} ms", bar)
    return grid


def _spans(phases: Phases, chat: ChatTimes | None) -> list[tuple[str, float, float]]:
    """Return (name, start, length) of every phase that happened, in seconds."""
    found, at = [], 0.0
    for name, attribute in _PHASES:
        span = getattr(phases, attribute)
        if span is not None:
            found.append((name, at, float(span)))
            at += float(span)
    if chat is None or chat.ttft_s is None or phases.wait_s is None or phases.transfer_s is None:
        return found
    headers_s = at - phases.transfer_s
    sent_s = headers_s - phases.wait_s
    first_s = max(headers_s, sent_s + chat.ttft_s)
    last_s = max(first_s, sent_s + (chat.last_token_s or 0.0))
    body = [("to token", headers_s, first_s - headers_s), ("tokens", first_s, last_s - first_s)]
    return [*found[:-1], *body, ("end", last_s, max(0.0, at - last_s))]


def _facts(probe: Probe, result: Result) -> Iterator[tuple[str, str]]:
    seen = result.observation
    yield "Target", probe.target
    if seen.address:
        yield "Address", f"{seen.address} {seen.http_version}".strip()
    if seen.certificate is not None:
        left = (seen.certificate.not_after - result.started_at).days
        until = f"until {seen.certificate.not_after:%Y-%m-%d %H:%M} UTC ({left} days)"
        trust = "trusted" if seen.certificate.trusted else "not trusted"
        yield "Certificate", f"{seen.certificate.subject}, {trust}, {until}"
    if seen.phases is not None:
        yield "Fidelity", _fidelity(seen.phases)
    if seen.chat is not None:
        yield "Chat", _chat(seen.chat)
    for reading in seen.registration:
        named = ", ".join(country(code, lexicon()) for code in reading.country_codes)
        codes = f" ({named} only)" if named else ""
        share = f", {reading.failed_ratio:.0%} of attempts" if reading.failed_ratio is not None else ""
        yield "Registration", f"{reading.method}: {reading.state}{codes}{share}, by {reading.source}: {reading.excerpt}"
    if seen.upstream is not None:
        yield "Vendor's page", f"{seen.upstream.indicator}, {len(seen.upstream.incidents)} incidents"
        for ours, health in seen.upstream.mapped.items():
            yield "", f"{ours}: {health}"
        for incident in seen.upstream.incidents[:5]:
            yield "", f"{incident.status or 'unknown'}: {incident.name}"
    for warning in seen.warnings:
        yield "Note", _note(warning)
    if limits := _limits(seen):
        yield "Rate limits", ", ".join(f"{name}: {value}" for name, value in limits.items())
    if seen.evidence is not None and seen.evidence.excerpt:
        yield "Seen", seen.evidence.excerpt
    yield "Outcome", f"{result.outcome}: {lexicon().section('outcome_short', result.outcome)}"
    yield "Reason", f"{result.reason}: {lexicon().section('scope', result.reason.scope)}"
    yield "Rules", verdict(probe, result)


def _note(warning: AnyWarning) -> str:
    """Return a warning with what it means; one that nobody knows is told as it came."""
    code = code_of(warning)
    if code is None:
        return str(warning)
    return f"{warning}: {lexicon().of(code)}{' (alerts the operator if it stays)' if code in ALERTS else ''}"


def _limits(seen: Observation) -> dict[str, str]:
    """Return the vendor's rate-limit headers as they came."""
    headers = seen.evidence.headers if seen.evidence is not None else {}
    return {name: value for name, value in headers.items() if "ratelimit" in name}


def _fidelity(phases: Phases) -> str:
    clock = "the kernel's stamps" if phases.kernel_stamped else "our own clock"
    parts = [f"{clock}, loop lag {phases.loop_lag_s * 1000:.1f} ms"]
    if phases.overhead_s is not None:
        parts.append(f"our own work {phases.overhead_s * 1000:.1f} ms")
    if phases.rtt_s is not None:
        parts.append(f"round trip {phases.rtt_s * 1000:.2f} ms")
    return ", ".join(parts)


def _chat(times: ChatTimes) -> str:
    shown = []
    for field in fields(times):
        value = getattr(times, field.name)
        if value not in (None, "", 0):
            shown.append(f"{field.name} {value:.4g}" if isinstance(value, float) else f"{field.name} {value}")
    return ", ".join(shown)


def verdict(probe: Probe, result: Result) -> str:
    """Say what the rules would do with this look as the newest."""
    told = [_judged(probe, result)]
    if result.observation.registration:
        told.append("a way to sign up changes only after two equal readings")
    scope = f"{probe.id}@{result.run.location}"
    alerts = own_trouble(scope, probe.component, result.reason, result.run.tick)
    told += [f'the operator gets a {alert.severity} "{alert.rule}"' for alert in alerts if alert.holds]
    return "; ".join(told)


def _judged(probe: Probe, result: Result) -> str:
    policy = probe.policy
    if probe.control:
        return "a control target: tells only whether we are online ourselves"
    if probe.witness:
        return "the vendor's own word is shown beside our verdict, never part of it"
    if result.reason is Reason.THROTTLED:
        return f"counts as a failure from the {policy.throttled_after}th such answer in a row on"
    if result.outcome is Outcome.FAILED:
        rule = rule_of(probe)
        _, pause_s = pace.after(pace.START, probe, result, result.duration_s)
        again = "" if pause_s is None else f"we look again after {pause_s:.3g} s; "
        return (
            f"{again}this one alone changes nothing yet; down after {rule.fewest_failures} failures in a row that last "
            f"{rule.span_s:g} s, or a failure rate as high; at worst {probe.impact_when_down}"
        )
    if result.reason is Reason.QUALITY:
        return "a soft signal: it is shown and never pages"
    if result.outcome is Outcome.SLOW:
        return f"degraded once {SLOW_LOOKS} of the newest {WINDOW_LOOKS} looks were slow"
    if result.outcome is Outcome.OK:
        return f"{rule_of(probe).up} good looks end an outage; a failed one takes most of them back"
    return "opens and ends no incident; without other evidence the component becomes unknown"


def as_json(probe: Probe, result: Result) -> dict[str, Any]:
    """Return the look for machines: the result as it is stored, its outcome, and what the rules would do."""
    stored: dict[str, Any] = json.loads(dumps_result(result))
    return {
        **stored,
        "outcome": str(result.outcome),
        "scope": str(result.reason.scope),
        "rules": verdict(probe, result),
        "rate_limits": _limits(result.observation),
    }
