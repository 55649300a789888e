"""Reads for every door. Each takes one consistent snapshot, holds it briefly and returns frozen views.

``public`` has no default on purpose: whoever reads must say for whom.
"""

from monitor.store.reads.alerting import alert, alerts, audit, loudness, probes, silences
from monitor.store.reads.gaps import missed
from monitor.store.reads.looks import latency, results
from monitor.store.reads.page import catalogue, published_at, snapshot
from monitor.store.reads.past import about, past
from monitor.store.reads.spending import costs
from monitor.store.reads.timelines import incident, incidents

__all__ = [
    "about",
    "alert",
    "alerts",
    "audit",
    "catalogue",
    "costs",
    "incident",
    "incidents",
    "latency",
    "loudness",
    "missed",
    "past",
    "probes",
    "published_at",
    "results",
    "silences",
    "snapshot",
]
