"""Can a new user sign up: by which method, in which state, and which source says so."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Registration(StrEnum):
    """Can a new user sign up, by one method."""

    OPEN = "open"
    RESTRICTED = "restricted"
    DELAYED = "delayed"
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
    """Where a registration reading comes from. Listed from the strongest to the weakest."""

    CONFIG_ENDPOINT = "config_endpoint"
    PROTOCOL = "protocol"
    OFFICIAL_TEXT = "official_text"
    PAGE_TEXT = "page_text"
    NEWS = "news"

    @property
    def weight(self) -> int:
        """Higher wins against lower while both are fresh."""
        return {"config_endpoint": 5, "protocol": 4, "official_text": 3, "page_text": 2, "news": 1}[self.value]


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
