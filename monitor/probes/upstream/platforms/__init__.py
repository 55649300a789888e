"""Platforms of status pages: one file each, which declares itself (:mod:`monitor.kinds`).

A reader takes parsed JSON (or markup) of any shape and returns a reading or raises ``UnreadableError``; nothing else is
raised. What decides about green must be there in its right type: a missing list of affected components is not an empty
one.
"""

from __future__ import annotations

from monitor.kinds import Kinds
from monitor.probes.upstream.platform import Platform

PLATFORMS = Kinds(__name__, __path__, Platform)
