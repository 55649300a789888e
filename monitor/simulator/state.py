"""What can be set on the simulated vendor, one :class:`State` per service.

Every field is a word of the scenario files. Times are real seconds: a scenario's ``speed`` compresses the story, never
an answer.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from monitor.core.model.states import Health, IncidentStatus


class Fault(StrEnum):
    """A way to go wrong. The chat ones are understood by the chat endpoints, all others by every endpoint."""

    NONE = "none"

    # The connection
    RESET = "reset"
    """TCP reset after the request was read."""
    CLOSE = "close"
    """Closed in an orderly way without an answer."""
    HANG = "hang"
    """Connected, read, never answered."""
    SLOW = "slow"
    """Answered after ``seconds``."""

    # HTTP
    STATUS = "status"
    """An HTML error page with ``status``."""
    CHALLENGE = "challenge"
    """403 with the page of a bot wall."""
    HTML = "html"
    """200 with an HTML page, whatever was asked for."""
    NOTICE = "notice"
    """200 with a web page that says ``text`` instead of the product; without ``text`` an empty shell."""
    EMPTY = "empty"
    """200 without a body."""
    GARBAGE = "garbage"
    """A status line that is none."""
    BAD_JSON = "bad_json"
    ERROR_BODY = "error_body"
    """200 with an error object."""
    SHORT_BODY = "short_body"
    """Content-Length 100, three bytes sent."""
    TWO_LENGTHS = "two_lengths"
    RESET_MIDWAY = "reset_midway"
    DRIP = "drip"
    """The answer, one byte every ``seconds``."""
    ENDLESS = "endless"
    """A chunked body without end."""
    GZIP_BOMB = "gzip_bomb"
    """``size_mb`` of zeros behind a small gzip body."""
    BAD_GZIP = "bad_gzip"
    HUGE_HEADER = "huge_header"
    """One header of ``size_mb``."""
    MANY_HEADERS = "many_headers"
    INTERIM = "interim"
    """103 Early Hints again and again, one every ``seconds``."""
    REDIRECT_LOOP = "redirect_loop"
    REDIRECT = "redirect"
    """302 to the address ``to``."""

    # Errors in the vendor's own shape
    OVERLOADED = "overloaded"
    SERVER_ERROR = "server_error"
    AUTH = "auth"
    REGION = "region"
    PAYMENT = "payment"
    """402: the balance is used up."""
    QUOTA = "quota"
    """429 of the money family."""
    RATE_LIMIT = "rate_limit"
    """429 that shows our own limit: Retry-After and nothing remaining."""
    THROTTLED = "throttled"
    """429 without a sign of our own limit."""
    SLOW_DOWN = "slow_down"
    MODEL_GONE = "model_gone"
    BAD_REQUEST = "bad_request"

    # A chat answer after its 200
    QUEUED = "queued"
    """Keep-alives for ``seconds``, then the answer."""
    NO_TOKEN = "no_token"  # noqa: S105 - a token of text
    """Headers and the role, then silence."""
    STALL = "stall"
    """Silence after ``after`` tokens."""
    CUT = "cut"
    """Orderly end of the connection after ``after`` tokens, no finish reason."""
    MIDSTREAM_ERROR = "midstream_error"
    """An error event after ``after`` tokens; 0 makes it the first event."""
    NO_RESOURCES = "no_resources"
    """finish_reason ``insufficient_system_resource`` after ``after`` tokens."""
    NO_DONE = "no_done"
    """Ends without ``[DONE]`` and usage."""
    NO_TOKENS = "no_tokens"
    """A complete answer without a token."""
    WRONG_ANSWER = "wrong_answer"
    FILTERED = "filtered"
    TORN_UTF8 = "torn_utf8"
    """Invalid UTF-8 in the middle of an event."""
    BIG_EVENT = "big_event"
    """One event of ``size_mb``."""
    BAD_EVENT = "bad_event"
    """An event that is no JSON."""


class Sign(StrEnum):
    """What the sign-up page and the configuration endpoints say of registration."""

    OPEN = "open"
    PHONE_86 = "phone_86"
    """Only +86 phone numbers, with the words of January 2025."""
    BUSY = "busy"
    """Accepted, but "registration may be busy"."""
    CLOSED = "closed"
    FAILING = "failing"
    """Open by its configuration, and a banner says that no account can be made."""


class Strict(BaseModel):
    """Frozen, and no unknown word goes unnoticed."""

    model_config = ConfigDict(allow_inf_nan=False, frozen=True, extra="forbid")


class Trouble(Strict):
    """A fault and how often it strikes."""

    fault: Fault = Fault.NONE
    share: float = Field(default=1.0, ge=0, le=1)
    """Part of the requests that it strikes, by the dice."""
    every: int = Field(default=1, ge=1, le=1000)
    """Strikes only every n-th request to the endpoint, without dice."""
    seconds: float = Field(default=1.0, ge=0, le=3600)
    status: int = Field(default=503, ge=200, le=599)
    after: int = Field(default=1, ge=0, le=10_000)
    to: str = ""
    text: str = Field(default="", max_length=2000)
    size_mb: int = Field(default=8, ge=1, le=64)


def _short(value: object) -> object:
    return {"fault": value} if isinstance(value, str) else value


Troubled = Annotated[Trouble, BeforeValidator(_short)]
"""A :class:`Trouble`; in files the bare name of the fault will do."""


class Account(Strict):
    """The test account that the sign-in endpoint knows."""

    email: str = "probe@example.com"
    password: str = "simulated"  # noqa: S105 - opens nothing but this simulation


class State(Strict):
    """One service as it is now."""

    everything: Troubled = Trouble()
    """Strikes every endpoint but the status page, before the fields below."""
    chat: Troubled = Trouble()
    models: Troubled = Trouble()
    balance: Troubled = Trouble()
    web: Troubled = Trouble()
    signup: Troubled = Trouble()
    config: Troubled = Trouble()
    login: Troubled = Trouble()
    status: Troubled = Trouble()

    registration: Sign = Sign.OPEN
    balance_amount: float = Field(default=110.0, ge=0)
    """At 0 the chat answers 402."""
    retired: tuple[str, ...] = ()
    """Models that are no longer served or listed; any other name is served."""
    dead: tuple[str, ...] = ()
    """Models whose questions are refused as overloaded, while the others answer."""
    rerouted: dict[str, str] = {}
    """Models that are answered by another one, which says its own name."""
    served: tuple[str, ...] = ()
    """Models of the list; empty lists the service's usual ones."""
    key: str = ""
    """When set, the only key that is accepted; otherwise any key is, and none is not."""
    account: Account = Account()

    latency_s: float = Field(default=0.02, ge=0, le=600)
    """Median time to the headers of any answer."""
    ttft_s: float = Field(default=0.3, ge=0, le=600)
    """Median time from the headers of a streamed answer to its first token."""
    spread: float = Field(default=0.2, ge=0, le=2)
    """Sigma of the log-normal distribution of both; 0 makes them exact."""
    chunk_gap_s: float = Field(default=0.02, ge=0, le=600)
    reasoning: Literal["", "reasoning_content", "reasoning"] = ""
    """Name of the reasoning delta; empty reasons only when the model's name contains ``reason``."""
    reasoning_tokens: int = Field(default=6, ge=0, le=10_000)
    answer: str = "The sky is blue because air scatters short waves of light more than long ones."
    """Given to any question that is not a sum."""


class Announcement(Strict):
    """What the vendor writes on its own status page: opens an incident, or updates the open one."""

    status: IncidentStatus
    title: str = ""
    text: str
    impact: Literal["none", "minor", "major", "critical"] = "major"
    components: dict[Literal["api", "web"], Health] = {}
    """Component states from now on; all operational once an announcement says resolved."""
