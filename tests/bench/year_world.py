"""A week of thirty probes at three vendors with everything mixed, as a scenario with a ground truth.

What happens how often stands in :data:`OFTEN`, in times a year and vendor. No rule was tuned on these weeks.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

VENDORS = ("alpha", "beta", "gamma")
PARTS: dict[str, tuple[tuple[str, dict[str, Any]], ...]] = {
    "web": (("web", {}), ("app", {}), ("assets", {})),
    "api": (("edge", {}), ("models", {}), ("chat", {"kind": "chat", "interval": "5m", "timeout": "60s"})),
    "login": (("login", {}), ("session", {})),
    "registration": (("signup", {}),),
}
"""Component → its probes; with the vendor's page there are ten a vendor."""
WEEK_S = 7 * 86_400
CHANCE = 0.002
"""Share of looks that fail while all is well."""
OFTEN = {
    "blip": 365.0,
    "hard": 12.0,
    "part_hard": 24.0,
    "partial": 24.0,
    "slow": 24.0,
    "own_key": 4.0,
    "all_keys": 2.0,
}
OWN_OFTEN = {"bad_minute": 52.0, "own_network": 12.0, "own_certificates": 4.0, "own_uplink": 6.0}
"""The same of our own side, whatever the vendor."""
OWN_REASONS = {
    "bad_minute": ["service.error"],
    "own_network": ["service.connect", "service.dns", "service.timeout.connect"],
    "own_certificates": ["service.tls.untrusted"],
    "own_uplink": ["service.timeout.headers", "service.protocol"],
}
FAILURES = ["service.error", "service.overloaded", "service.timeout.headers", "service.connect", "service.status"]


@dataclass
class Week:
    """One week while it is made up."""

    rng: random.Random
    stretches: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    said: list[dict[str, Any]] = field(default_factory=list)
    own: list[dict[str, Any]] = field(default_factory=list)

    def times(self, a_year: float) -> Iterator[float]:
        """Yield when something happens that happens so often a year; chance has no memory."""
        at_s = 600.0
        while (at_s := at_s + self.rng.expovariate(a_year / (365 * 86_400))) < WEEK_S - 600:
            yield at_s

    def lasts(self, median_s: float, least_s: float, most_s: float) -> float:
        """Return how long something lasts: often short, now and then very long."""
        return min(most_s, max(least_s, self.rng.lognormvariate(0, 1.2) * median_s))

    def happens(self, probes: list[str], at_s: float, length_s: float, **changes: Any) -> None:
        """Let some probes be answered otherwise for a while."""
        span = {"from": _moment(at_s), "to": _moment(at_s + length_s)}
        for probe in probes:
            self.stretches[probe].append({**span, **changes})

    def vendor_speaks(self, vendor: str, at_s: float, length_s: float, name: str) -> None:
        """Let the vendor admit it, some time after it began, or never."""
        if length_s < 600 or self.rng.random() < 0.3:
            return
        begins_s = at_s + self.lasts(900, 120, 5400)
        ends_s = max(at_s + length_s, begins_s) + self.lasts(600, 60, 3600)
        words = {"service": vendor, "id": f"{vendor}-{at_s:.0f}", "name": name}
        self.said.append({**words, "at": _moment(begins_s), "status": "investigating"})
        if ends_s < WEEK_S:
            self.said.append({**words, "at": _moment(ends_s), "status": "resolved"})


def _moment(at_s: float) -> str:
    return f"{at_s:.0f}s"


def scenario(number: int) -> dict[str, Any]:
    """Return a week as a scenario; the same for the same number."""
    week = Week(random.Random(f"bench year {number}"))
    probes: dict[str, Any] = {}
    for vendor in VENDORS:
        for part, held in PARTS.items():
            for name, options in held:
                probes[f"{vendor}-{name}"] = {"component": f"{vendor}/{part}", "interval": "60s", **options}
        probes[f"{vendor}-page"] = {"component": f"{vendor}/web", "interval": "5m", "witness": True}
    for name, options in probes.items():
        stream = {"ttft": "700ms", "tokens_per_s": 60} if options.get("kind") == "chat" else {"took": "350ms"}
        week.stretches[name] = [{"fails": CHANCE, "spread": 0.25, **stream}]
        options["slow_after"] = "3s"
    for vendor in VENDORS:
        _vendor(week, vendor)
    for kind, often in OWN_OFTEN.items():
        for at_s in week.times(often):
            length_s = 60.0 if kind == "bad_minute" else week.lasts(240, 60, 3600)
            span = {"from": _moment(at_s), "to": _moment(at_s + length_s)}
            week.own.append({**span, "reason": OWN_REASONS[kind]})
    return {
        "name": f"week {number} of three vendors",
        "probes": probes,
        "until": "7d",
        "seed": number,
        "world": week.stretches,
        "own_side": week.own,
        "vendor_says": sorted(week.said, key=lambda one: float(one["at"].rstrip("s"))),
    }


def _vendor(week: Week, vendor: str) -> None:
    """Make up what happens at one vendor: what begins later stands below, so it wins while both last."""
    rng = week.rng
    begun = sorted((at_s, kind) for kind, often in OFTEN.items() for at_s in week.times(often))
    for at_s, kind in begun:
        part = rng.choice(list(PARTS))
        whole, some = _probes(vendor, *PARTS), _probes(vendor, part)
        if kind == "blip":
            week.happens(rng.choice((some, whole)), at_s, rng.uniform(3, 30), fails=1, reason=rng.choice(FAILURES))
        elif kind in ("hard", "part_hard"):
            length_s = week.lasts(1200, 120, 6 * 3600)
            reasons = rng.sample(FAILURES, 2)
            week.happens(whole if kind == "hard" else some, at_s, length_s, fails=1, reason=reasons)
            week.vendor_speaks(vendor, at_s, length_s, "Service disruption")
        elif kind == "partial":
            length_s = week.lasts(3600, 900, 12 * 3600)
            week.happens(some, at_s, length_s, fails=round(rng.uniform(0.15, 0.7), 2), reason=rng.choice(FAILURES))
            week.vendor_speaks(vendor, at_s, length_s, "Elevated errors")
        elif kind == "slow":
            week.happens(some, at_s, week.lasts(2400, 600, 6 * 3600), took="5s", truth="degraded_performance")
        else:
            ours = kind == "own_key"
            asking = [f"{vendor}-chat"] if ours else [f"{vendor}-chat", f"{vendor}-models"]
            truth = {} if ours else {"truth": "major_outage"}
            week.happens(asking, at_s, week.lasts(3600, 600, 86_400), fails=1, reason="account.auth", **truth)


def _probes(vendor: str, *parts: str) -> list[str]:
    return [f"{vendor}-{name}" for part in parts for name, _ in PARTS[part]]
