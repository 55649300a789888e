"""The verbs. Each is one transaction (per batch) and may be repeated."""

from monitor.core.commands import CommandError
from monitor.flow.command import Signed, command
from monitor.flow.intake import take_in
from monitor.flow.isolating import Unjudged
from monitor.flow.notices import lease_notices, outbox_counts, settle_notice, take_back_notices
from monitor.flow.prune import prune
from monitor.flow.publish import mend_catalogue, publish_catalogue
from monitor.flow.rebuild import rebuild
from monitor.flow.record import Recorded, record
from monitor.flow.rolling.roll_up import roll_up
from monitor.flow.sweep import check_in, sweep

__all__ = [
    "CommandError",
    "Recorded",
    "Signed",
    "Unjudged",
    "check_in",
    "command",
    "lease_notices",
    "mend_catalogue",
    "outbox_counts",
    "prune",
    "publish_catalogue",
    "rebuild",
    "record",
    "roll_up",
    "settle_notice",
    "sweep",
    "take_back_notices",
    "take_in",
]
