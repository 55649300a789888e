"""Can a new user sign up: by which method, in which state, and which source says so."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Registration(StrEnum):
    """Can a new user sign up, by one method."""

    OPEN = "open"
    RESTRICTED = "restricted"
    DELAYED = "delayed"
    FAILING = "failing"
    """Open by policy, and attempts do not succeed: all of them, or a share."""
    CLOSED = "closed"
    UNKNOWN = "unknown"


class Method(StrEnum):
    """A way to sign up."""

    EMAIL = "email"
    PHONE = "phone"
    GOOGLE = "google"
    APPLE = "apple"
    MICROSOFT = "microsoft"
    GITHUB = "github"
    WECHAT = "wechat"
    SSO = "sso"
    """Single sign-on by OAuth, OpenID, SAML or LDAP of the operator's own."""
    ANY = "any"
    """The source speaks of registration as a whole."""


class Source(StrEnum):
    """Where a registration reading comes from. Listed from the strongest to the weakest.

    A configuration says what is allowed, an attempt what works; texts may say either.
    """

    ATTEMPT = "attempt"
    """A throwaway account made at one's own server, and removed again."""
    CONFIG_ENDPOINT = "config_endpoint"
    PROTOCOL = "protocol"
    OFFICIAL_TEXT = "official_text"
    PAGE_TEXT = "page_text"
    NEWS = "news"

    @property
    def weight(self) -> int:
        """Higher wins against lower while both are fresh."""
        return _WEIGHTS[self.value]

    @property
    def knows_policy_only(self) -> bool:
        """It says who may sign up, and nothing of whether that works."""
        return self in (Source.CONFIG_ENDPOINT, Source.PROTOCOL)


_WEIGHTS = {"attempt": 6, "config_endpoint": 5, "protocol": 4, "official_text": 3, "page_text": 2, "news": 1}

ALMOST_ALL = 0.8
"""Share of failed attempts from which on sign-up is down, and not only partly: as for looks."""


def nobody_gets_in(state: Registration, failed_ratio: float | None) -> bool:
    """Say whether a state means that practically no new user gets in; a share that nobody told is not all."""
    broken = state is Registration.FAILING and failed_ratio is not None and failed_ratio >= ALMOST_ALL
    return state is Registration.CLOSED or broken


@dataclass(frozen=True, slots=True)
class MethodReading:
    """What one source says of one way to sign up."""

    method: Method
    state: Registration
    source: Source
    country_codes: tuple[str, ...] = ()
    """Allowed telephone country codes, E.164 without the plus sign, as in ``("86",)``; empty means any."""
    email_domains: tuple[str, ...] = ()
    invite_required: bool = False
    approval_required: bool = False
    excerpt: str = ""
    """The words or field the reading rests on: at most 300 characters, redacted, hostile until escaped."""
    url: str = ""
    failed_ratio: float | None = None
    """Share of attempts that fail, 0 to 1, where it was measured or told; only of *failing*."""


@dataclass(frozen=True, slots=True)
class PlaceWord:
    """What holds of one way to sign up as seen from one place, where several places look."""

    place: str
    """The location's name."""
    state: Registration
    country_codes: tuple[str, ...] = ()
    email_domains: tuple[str, ...] = ()
    invite_required: bool = False
    approval_required: bool = False
    failed_ratio: float | None = None
