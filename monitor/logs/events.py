"""What can be logged: the codes of events, and the fields that a line may carry."""

from __future__ import annotations

from enum import StrEnum
from typing import TypedDict


class Event(StrEnum):
    """The code of a line's event. Operators filter and alert by it: never rename one."""

    # Programs
    STARTED = "started"
    STOPPED = "stopped"
    PROGRAM_ENDED = "program_ended"
    """A program ended by itself and is started again."""
    PROGRAM_KILLED = "program_killed"
    """A program did not end in time."""
    PEER_DISCONNECTED = "peer_disconnected"
    """Prober or recorder lost the other."""
    PEER_SILENT = "peer_silent"
    BAD_FRAME = "bad_frame"
    CRASHED = "crashed"
    CANNOT_LISTEN = "cannot_listen"
    CLOCK_STEPPED = "clock_stepped"
    RELOADED = "reloaded"
    RELOAD_REFUSED = "reload_refused"
    CONFIGURATION_FAULT = "configuration_fault"

    # Incidents
    INCIDENT_OPENED = "incident_opened"
    INCIDENT_WORSE = "incident_worse"
    INCIDENT_BETTER = "incident_better"
    """One component of it fails less, or works again, while others may still fail."""
    INCIDENT_RELAPSED = "incident_relapsed"
    INCIDENT_RECOVERING = "incident_recovering"
    INCIDENT_RESOLVED = "incident_resolved"
    INCIDENT_REOPENED = "incident_reopened"
    INCIDENT_CLOSED = "incident_closed"
    """Nobody looks any more, which is no recovery."""
    INCIDENT_CHANGED = "incident_changed"
    """Whatever else its timeline tells."""

    # Alerts and deliveries
    ALERT_FIRED = "alert_fired"
    ALERT_CHANGED = "alert_changed"
    """It grew louder or quieter."""
    ALERT_ENDED = "alert_ended"
    ALERTS_LEFT_OUT = "alerts_left_out"
    DELIVERY_SENT = "delivery_sent"
    DELIVERY_RETRIED = "delivery_retried"
    DELIVERY_GIVEN_UP = "delivery_given_up"
    DELIVERY_UNSETTLED = "delivery_unsettled"
    """How it went could not be written down, so it is sent again under the same key."""

    # What we see and who looks
    BLINDNESS_BEGAN = "blindness_began"
    BLINDNESS_ENDED = "blindness_ended"
    PROBES_TAKEN_OVER = "probes_taken_over"
    PROBES_GIVEN_BACK = "probes_given_back"
    PROBES_LOST = "probes_lost"
    """Another worker took over what we held."""
    LEASES_NOT_RETURNED = "leases_not_returned"
    LOOKING_ALONE = "looking_alone"
    RESULTS_FENCED = "results_fenced"
    RESULTS_UNACKNOWLEDGED = "results_unacknowledged"
    RESULT_UNREADABLE = "result_unreadable"
    RESULT_IMPOSSIBLE = "result_impossible"
    """A time or number that no look can have."""

    # Storing and judging
    DATABASE_AWAY = "database_away"
    DATABASE_BACK = "database_back"
    DATABASE_LOG_GROWS = "database_log_grows"
    STORE_LOST = "store_lost"
    """The database must not be used: it vanished, was swapped, cut, damaged, rolled back, or is read-only."""
    STORE_MOVED = "store_moved"
    """Another PostgreSQL server answers than before."""
    TRANSACTION_SLOW = "transaction_slow"
    SPOOL_BEGAN = "spool_began"
    SPOOL_ENDED = "spool_ended"
    SPOOL_STRAY = "spool_stray"
    SPOOL_DAMAGED = "spool_damaged"
    NOTHING_STORED = "nothing_stored"
    """Neither database nor disk takes results."""
    MEMORY_NOT_KEPT = "memory_not_kept"
    QUARANTINE_HELD = "quarantine_held"
    QUARANTINE_RELEASED = "quarantine_released"
    QUARANTINE_FULL = "quarantine_full"
    QUARANTINE_STRAY = "quarantine_stray"
    JUDGEMENT_FAILED = "judgement_failed"
    CATALOGUE_DAMAGED = "catalogue_damaged"
    """It was written again from the configuration."""
    COMMAND_FAILED = "command_failed"
    """A person's command met a damaged row, or a fault of ours."""
    WATERMARK_REWOUND = "watermark_rewound"
    CHORE_FAILED = "chore_failed"
    PAGE_FAILED = "page_failed"

    # The log itself
    SUPPRESSED = "suppressed"
    """So many more lines of one event came than were printed."""
    LIBRARY = "library"
    """A line of a library: its logger is the room."""


class Fields(TypedDict, total=False):
    """What a line may carry beside its message; whatever is empty is left out."""

    service: str
    component: str
    """One id, never several."""
    components: tuple[str, ...]
    """Several ids, where a line is about all of them; then there is no :attr:`component`."""
    incident: str
    alert: str
    channel: str
    probe: str
    location: str
    worker: str
    impact: str
    rule: str
    severity: str
    route: str
    error: str
    tries: int
    count: int
    seconds: float
    of: str
    """The event that a line of suppressed ones is about."""
    version: str
    configuration: str
    configuration_version: str
    database: str
    status_page: str
    live_page: str
    console: str
    metrics: str
