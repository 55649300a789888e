"""One look, told to a person in a terminal: where the time went, what was seen, and what the rules make of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from rich.console import Console
from rich.table import Table
from rich.text import Text

from monitor.channels.base import plain
from monitor.core.catalogue import Probe
from monitor.core.health import needs_second_look, new_probe_state, step
from monitor.core.model import ChatTimes, Outcome, Phases, Reason, Result, Scope

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
_SCOPES = {
    Scope.NONE: "nothing is wrong",
    Scope.SERVICE: "the service's trouble: it counts against the service",
    Scope.DEGRADED: "the service works, outside its objective: it counts as up and as degraded",
    Scope.ACCOUNT: "our account's trouble: the operator is told, the public state is untouched",
    Scope.PROBE: "our own trouble: nothing can be said of the service",
}


def one_line(probe: Probe, result: Result) -> str:
    """Return the result in one line."""
    status = f" HTTP {result.observation.http_status}" if result.observation.http_status else ""
    detail = f": {plain(result.observation.detail)}" if result.observation.detail else ""
    return f"{probe.id} {result.outcome} {result.reason}{status} in {result.duration_s:.3f} s{detail}"


def explained(probe: Probe, result: Result) -> None:
    """Print everything that one look tells."""
    console = Console(highlight=False)
    console.print(Text(one_line(probe, result), _COLOURS.get(result.outcome, "grey50")))
    if result.observation.phases is not None:
        console.print(waterfall(result.observation.phases))
    grid = Table(box=None, show_header=False, pad_edge=False)
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    for name, value in _facts(probe, result):
        grid.add_row(name, Text(plain(value, 600)))
    console.print(grid)


def waterfall(phases: Phases) -> Table:
    """Return the phases as bars on one scale, in the order in which they happened."""
    spans = [(name, float(getattr(phases, attribute) or 0.0)) for name, attribute in _PHASES]
    total = sum(span for _, span in spans) or 1.0
    grid = Table(box=None, show_header=False, pad_edge=False)
    start = 0.0
    for (name, span), (_, attribute) in zip(spans, _PHASES, strict=True):
        if getattr(phases, attribute) is None:
            continue
        left = round(start / total * WIDTH)
        bar = Text(" " * left + "█" * max(1, round((start + span) / total * WIDTH) - left), "cyan")
        grid.add_row(name, f"{span * 1000:9.1f} ms", bar)
        start += span
    return grid


def _facts(probe: Probe, result: Result) -> Iterator[tuple[str, str]]:
    seen = result.observation
    yield "Target", probe.target
    if seen.address:
        yield "Address", f"{seen.address} {seen.http_version}".strip()
    if seen.certificate is not None:
        yield "Certificate", f"{seen.certificate.subject}, until {seen.certificate.not_after:%Y-%m-%d %H:%M} UTC"
    if seen.phases is not None:
        clock = "kernel" if seen.phases.kernel_stamped else "our clock"
        lag = f"loop lag {seen.phases.loop_lag_s * 1000:.1f} ms, stamps by the {clock}"
        own = "" if seen.phases.overhead_s is None else f", our own work {seen.phases.overhead_s * 1000:.1f} ms"
        yield "Fidelity", lag + own
    if seen.chat is not None:
        yield "Chat", _chat(seen.chat)
    for reading in seen.registration:
        codes = f" (+{', +'.join(reading.country_codes)} only)" if reading.country_codes else ""
        yield "Registration", f"{reading.method}: {reading.state}{codes}, by {reading.source}: {reading.excerpt}"
    if seen.upstream is not None:
        yield "Vendor's page", f"{seen.upstream.indicator}, {len(seen.upstream.incidents)} incidents"
    for warning in seen.warnings:
        yield "Note", warning
    if seen.evidence is not None and seen.evidence.excerpt:
        yield "Seen", seen.evidence.excerpt
    yield "Reason", f"{result.reason}: {_SCOPES[result.reason.scope]}"
    yield "Rules", verdict(probe, result)


def _chat(times: ChatTimes) -> str:
    shown = []
    for field in fields(times):
        value = getattr(times, field.name)
        if value not in (None, "", 0):
            shown.append(f"{field.name} {value:.4g}" if isinstance(value, float) else f"{field.name} {value}")
    return ", ".join(shown)


def verdict(probe: Probe, result: Result) -> str:
    """Say what the rules would do with this look as the newest."""
    policy = probe.policy
    state = step(new_probe_state(probe.id, result.run.location), result, policy)
    if probe.witness:
        return "shown beside our verdict, never part of it"
    if result.outcome is Outcome.FAILED and result.reason is not Reason.THROTTLED:
        again = "look again at once; " if needs_second_look(probe, result) else ""
        k, n = policy.open_after_failures, policy.window_looks
        return f"{again}down once {k} of the newest {n} looks failed; alone it makes this probe {state.health}"
    if result.outcome.is_evidence:
        return f"{policy.close_after_successes} good looks in a row on different ticks end a failure"
    return "cannot open or end an incident; without other evidence the component becomes unknown"
