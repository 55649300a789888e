"""What a person wants to adopt, what it makes of the file, and why it cannot be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monitor.config.load import Config
from monitor.config.models import PolicyEntry, policy_of
from monitor.core.catalogue import Policy, service_of


class AdoptError(Exception):
    """The change cannot be written; the text says why and what to do."""


@dataclass(frozen=True)
class Wish:
    """What was tried: thresholds by their names in the file, over a named policy or each probe's own."""

    changes: Mapping[str, Any]
    policy: str = ""
    service: str = ""

    def of(self, config: Config) -> dict[str, Policy]:
        """Return the policy that each probe of a configuration should have."""
        entry, named = PolicyEntry.model_validate(dict(self.changes)), config.policies.get(self.policy)
        found = {}
        for probe in config.catalogue.probes:
            concerned = not self.service or service_of(probe.component) == self.service
            base = named if named is not None and not probe.control else probe.policy  # no control names a policy
            found[probe.id] = policy_of(entry, base) if concerned else probe.policy
        return found


@dataclass(frozen=True)
class Adoption:
    """A file as it is, and as it would be."""

    path: Path
    before: bytes
    after: bytes
    policies: Mapping[str, Policy]
    """What each probe has after it."""

    @property
    def is_nothing(self) -> bool:
        """Say whether the file says so already."""
        return self.before == self.after
