"""What it costs on disk to keep what is recorded, for ``chatwatch check``."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.config.load import Config
from monitor.config.settled import DAY_S, FOR_EVER
from monitor.text.lexicon import lexicon

LOOK_BYTES, EVIDENCE_BYTES, AUDIT_BYTES, INCIDENT_BYTES = 90, 1_400, 250, 10_000
"""Of a row in SQLite with its part of indexes and pages, on the safe side of what was measured: 79 a look; evidence 250
where answers are short and 1,370 where they are hostile pages; a line of the audit 190; an incident of ten events with
three alerts 6,600, and 1,000 for each delivery."""
MINUTE_BYTES, HOUR_BYTES, DAY_BYTES = 35, 150, 200
"""Of a bucket of a roll-up: counts and two sketches, which grow with the spread of the times. Measured 35, and with few
looks in a bucket 36 and 114: hours and days with many are estimated."""
MINUTES, HOURS = 2 * 1_440, 400 * 24
"""Buckets kept of a probe at a location; days are kept for ever."""
EVIDENCE_RATIO = 0.01
YEAR_S = 365 * DAY_S


@dataclass(frozen=True, slots=True)
class Cost:
    """What one kind of record costs."""

    name: str
    kept_s: float
    """How long; :data:`FOR_EVER` without end."""
    bytes_full: int
    """What is there at most once the time is full; for what is kept for ever, what comes together in a year."""
    note: str

    def __str__(self) -> str:
        """Return the line of ``check``."""
        kept = "for ever" if self.kept_s == FOR_EVER else lexicon().duration(self.kept_s)
        size = (
            f"{sized(self.bytes_full)} {'a year' if self.kept_s == FOR_EVER else 'at most'}, "
            if self.bytes_full
            else ""
        )
        return f"{self.name} {kept}: {size}{self.note}"


def costs(config: Config) -> tuple[Cost, ...]:
    """Return what looks, evidence, roll-ups, incidents and the audit cost with this configuration, on SQLite."""
    keep = config.settings.keep
    running = [probe for probe in config.catalogue.probes if not probe.disabled]
    series = sum(len(probe.locations) for probe in running)
    a_day = sum(len(probe.locations) * DAY_S / probe.interval_s for probe in running)
    looks = round(a_day * _days(keep.looks_s) * LOOK_BYTES)
    evidence = round(a_day * EVIDENCE_RATIO * _days(keep.evidence_s) * EVIDENCE_BYTES)
    rolled = series * (MINUTES * MINUTE_BYTES + HOURS * HOUR_BYTES)
    share = f"{EVIDENCE_RATIO:.0%} of looks are worth it"
    return (
        Cost("looks", keep.looks_s, looks, f"{a_day:,.0f} a day of {LOOK_BYTES} bytes"),
        Cost("evidence", keep.evidence_s, evidence, f"if {share}, of {EVIDENCE_BYTES:,} bytes"),
        Cost("hours and minutes", 400 * DAY_S, rolled, f"{series:,} series, minutes for 2 days"),
        Cost("days", FOR_EVER, series * 365 * DAY_BYTES, f"of {DAY_BYTES} bytes"),
        Cost(
            "incidents",
            keep.incidents_s,
            0,
            f"{sized(INCIDENT_BYTES)} each with alerts and deliveries, and its evidence",
        ),
        Cost("audit", keep.audit_s, 0, f"{AUDIT_BYTES} bytes a line"),
    )


def _days(kept_s: float) -> float:
    return (YEAR_S if kept_s == FOR_EVER else kept_s) / DAY_S


def sized(count: float) -> str:
    """Return bytes as people say them."""
    units = ["bytes", "kB", "MB", "GB", "TB"]
    while count >= 1_000 and len(units) > 1:
        count /= 1_000
        units.pop(0)
    return f"{count:,.0f} {units[0]}" if count >= 10 or units[0] == "bytes" else f"{count:,.1f} {units[0]}"
