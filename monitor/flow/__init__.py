"""The verbs. Each is one transaction (per batch) and may be repeated."""

from monitor.flow.housekeeping import prune, roll_up
from monitor.flow.publishing import publish_catalogue
from monitor.flow.recording import Recorded, record
from monitor.flow.sweeping import check_in, sweep

__all__ = ["Recorded", "check_in", "prune", "publish_catalogue", "record", "roll_up", "sweep"]
