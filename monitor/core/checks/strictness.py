"""``strict: true``: what browsers forgive and a look only warns of becomes the service's fault."""

from __future__ import annotations

from dataclasses import replace

from monitor.core.model.observations import Observation
from monitor.core.model.reasons import Outcome, Reason
from monitor.core.model.warning_codes import WarningCode, code_of

SLOPPY = {
    WarningCode.PROTOCOL_ODD_CHARSET: Reason.PROTOCOL,
    WarningCode.PROTOCOL_ODD_HEADER: Reason.PROTOCOL,
    WarningCode.PROTOCOL_ODD_LENGTH: Reason.PROTOCOL,
    WarningCode.PROTOCOL_UNASKED_CODING: Reason.PROTOCOL,
    WarningCode.PROTOCOL_UNKNOWN_CODING: Reason.PROTOCOL,
    WarningCode.TLS_NO_CLOSE_NOTIFY: Reason.TLS,
    WarningCode.TLS_STRICT: Reason.CERTIFICATE_UNTRUSTED,
}
"""What is forgiven → what it is where nothing is."""


def strictly(observation: Observation) -> Observation:
    """Return a look that forgives nothing: good only without a warning of something sloppy."""
    if observation.outcome not in (Outcome.OK, Outcome.SLOW):
        return observation
    for warning in observation.warnings:
        code = code_of(warning)
        if code is not None and code in SLOPPY:
            return replace(observation, reason=SLOPPY[code], detail=f"strict: {warning}")
    return observation
