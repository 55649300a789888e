"""Registration detectors: one file each, which declares itself (:mod:`monitor.kinds`)."""

from __future__ import annotations

from monitor.kinds import Kinds
from monitor.probes.registration.detector import Detector

DETECTORS = Kinds(__name__, __path__, Detector)
