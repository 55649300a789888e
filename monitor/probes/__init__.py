"""Eyes: one file or folder a kind, which declares itself (:mod:`monitor.kinds`)."""

from __future__ import annotations

from monitor.kinds import Kinds
from monitor.probes.base import Kind

KINDS = Kinds(__name__, __path__, Kind)
