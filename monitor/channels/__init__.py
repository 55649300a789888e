"""Mouth: one file a kind, which declares itself (:mod:`monitor.kinds`)."""

from __future__ import annotations

from monitor.channels.base import Kind
from monitor.kinds import Kinds

KINDS = Kinds(__name__, __path__, Kind)
