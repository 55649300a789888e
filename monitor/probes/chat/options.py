"""Options of the kind ``chat`` and what follows from them: dialect, headers, plan."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from monitor.probes import base
from monitor.probes.base import Seconds
from monitor.probes.chat import anthropic as chat_anthropic
from monitor.probes.chat import azure, embeddings, off_peak, responses
from monitor.probes.chat import openai as chat_openai
from monitor.probes.chat.ask import Dialect, Place
from monitor.probes.chat.budget import FORM_TOKENS, PROMPT_TOKENS, VECTOR_TOKENS, Plan, Rung

DIALECTS: dict[str, Dialect] = {
    "openai": chat_openai,
    "responses": responses,
    "azure": azure,
    "anthropic": chat_anthropic,
    "embeddings": embeddings,
}


class Options(base.OverProxy):
    """Options of the kind ``chat``."""

    base_url: str
    dialect: Literal["openai", "responses", "azure", "anthropic", "embeddings"] = "openai"
    answers_as: base.Words = ()
    """Further names under which the model may answer (an alias of a gateway's); ``*`` for any."""
    model_ends: dict[str, date] = Field(default_factory=dict)
    """Models and the last day on which the vendor serves them."""
    api_version: str = Field("2024-10-21", pattern=r"^[0-9A-Za-z.-]{1,40}$")
    """Of Azure's own paths, which ``azure`` asks."""
    model: str = Field(min_length=1)
    key: SecretStr | None = None
    keyless: bool = False
    """A server of one's own that wants no key: it is asked without one."""
    stream: bool = True
    max_tokens: int = Field(64, ge=1, le=4096)
    """Of the short answer. A model that reasons needs more, or its answers give no verdict on the canary."""
    long_max_tokens: int = Field(400, ge=1, le=8192)
    token_limit_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"  # noqa: S105 - a field's name
    """OpenAI's reasoning models refuse ``max_tokens``."""
    extra: dict[str, Any] = Field(default_factory=dict)
    """Further fields of the request body, as ``{"reasoning_effort": "low"}``."""
    headers: dict[str, str] = Field(default_factory=dict)
    secret_headers: dict[str, SecretStr] = Field(default_factory=dict)
    headers_timeout_s: Seconds | None = None
    """Limit to the response's headers; without one the total deadline holds."""
    stall_s: Seconds = 20.0
    """Limit between two chunks with tokens."""
    first_token_slow_s: Seconds | None = 5.0
    tpot_slow_s: Seconds | None = None
    answer_slow_s: Seconds | None = None
    canary: bool | Literal["tool_call", "json_schema"] = True
    """Ask a fresh sum and check the answer, instead of a plain greeting; or have a tool called with arguments that are
    checked, or an answer written that holds a JSON schema."""
    budget_tokens_day: int | None = 100_000
    budget_usd_day: float | None = Field(None, ge=0)
    """Needs the two prices below."""
    usd_per_million_input: float = Field(0.0, ge=0)
    usd_per_million_output: float = Field(0.0, ge=0)
    off_peak: base.Words = ()
    """Hours of UTC in which the prices are :attr:`off_peak_ratio` of those above, as ``Mon-Fri 00-01 04-06``."""
    off_peak_ratio: float = Field(1.0, ge=0, le=1)
    key_header: Literal["authorization", "api-key", "x-api-key"] | None = None
    """Header that bears the key alone (Azure's ``api-key``), where it is not the dialect's."""
    models_every_s: Seconds | None = 6 * 3600.0
    """How often the list of models is read instead of asking; ``null`` never."""
    short_every_s: Seconds = 0.0
    """0 asks at every look; between two questions only the edge is looked at."""
    long_every_s: Seconds | None = None
    """How often the answer is long enough to measure the pace; ``null`` never."""
    balance_url: str | None = None
    """Where the vendor tells, for free, whether the account has money (DeepSeek's ``/user/balance``). Read before a
    question: with an empty account it is not asked, and the look says so instead of failing."""

    engine: Literal["vllm", "sglang", "llama_cpp"] | None = None
    """A model server of one's own: its counters are read beside the question, to tell hung, busy, loading and dead."""
    engine_url: str | None = None
    """Where ``/metrics`` and ``/health`` stand; without it ``base_url`` less its ``/v1``. The key goes to the host of
    ``base_url`` only."""
    engine_hung_s: Seconds = 10.0
    """So long the counters of an engine that has requests have to stand still until it is called hung."""

    @field_validator("base_url")
    @classmethod
    def _url(cls, value: str) -> str:
        return base.checked_url(value).rstrip("/")

    @field_validator("balance_url")
    @classmethod
    def _balance_url(cls, value: str | None) -> str | None:
        return None if value is None else base.checked_url(value)

    @field_validator("engine_url")
    @classmethod
    def _engine_url(cls, value: str | None) -> str | None:
        return None if value is None else base.checked_url(value).rstrip("/")

    @field_validator("off_peak")
    @classmethod
    def _off_peak(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        off_peak.parse(value)
        return value

    @field_validator("headers")
    @classmethod
    def _headers(cls, value: dict[str, str]) -> dict[str, str]:
        return base.checked_headers(value)

    @field_validator("secret_headers")
    @classmethod
    def _secret_headers(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        return base.checked_secret_headers(value)

    @model_validator(mode="after")
    def _budget(self) -> Self:
        cost = self.plan().worst(Rung.SHORT)[0]
        if self.budget_tokens_day is not None and self.budget_tokens_day < cost:
            raise ValueError(f"budget_tokens_day must allow at least one answer, here {cost} tokens")
        if self.budget_usd_day is not None and not self.plan().has_prices:
            raise ValueError("budget_usd_day needs usd_per_million_input and usd_per_million_output")
        if self.dialect == "embeddings" and (self.long_every_s is not None or isinstance(self.canary, str)):
            raise ValueError("embeddings have no words: leave out long_every_s, and canary can only be true or false")
        if self.balance_url and not base.same_origin(self.balance_url, self.base_url):
            raise ValueError("balance_url must be on the host of base_url: the key goes there too")
        return self

    def address(self) -> str:
        """Return the address below which everything is asked."""
        return self.base_url

    def _prompt_tokens(self) -> int:
        if self.dialect == "embeddings":
            return VECTOR_TOKENS
        return PROMPT_TOKENS if isinstance(self.canary, bool) else FORM_TOKENS

    @property
    def protocol(self) -> Dialect:
        """The dialect itself."""
        return DIALECTS[self.dialect]

    @property
    def place(self) -> Place:
        """What the addresses are made of."""
        return Place(self.base_url, self.model, self.api_version)

    @property
    def asks(self) -> bool:
        """Whether questions are asked; without a key the edge alone is looked at, unless none is wanted."""
        return self.keyless or key_of(self) != ""

    def engine_address(self) -> str:
        """Return the address below which an engine's own counters stand."""
        return self.engine_url or self.base_url.removesuffix("/v1")

    def most_of_a_question(self) -> tuple[int, float]:
        """Return the most tokens and dollars that a short question costs; nothing without a key to ask with."""
        return self.plan().worst(Rung.SHORT) if self.asks else (0, 0.0)

    def questions_a_day(self, interval_s: float) -> tuple[float, float]:
        """Return how many questions a day are planned and how many the budget allows, each at its highest price.

        A long question counts as as many short ones as it costs.
        """
        return self.plan().questions_a_day(interval_s) if self.asks else super().questions_a_day(interval_s)

    def plan(self, now: datetime | None = None) -> Plan:
        """Return the budget's view of these options: at what a question costs now, or at most when no time is given."""
        cheap = now is not None and self.off_peak and off_peak.is_cheap(off_peak.parse(self.off_peak), now)
        ratio = self.off_peak_ratio if cheap else 1.0
        return Plan(
            tokens_day=self.budget_tokens_day,
            usd_day=self.budget_usd_day,
            usd_per_input_token=self.usd_per_million_input * ratio / 1e6,
            usd_per_output_token=self.usd_per_million_output * ratio / 1e6,
            models_every_s=self.models_every_s,
            short_every_s=self.short_every_s,
            long_every_s=self.long_every_s,
            short_tokens=0 if self.dialect == "embeddings" else self.max_tokens,
            long_tokens=self.long_max_tokens,
            asks=self.asks,
            prompt_tokens=self._prompt_tokens(),
        )


def key_of(options: Options) -> str:
    """Return the key, ``""`` without one."""
    return options.key.get_secret_value().strip() if options.key else ""


def secret_headers(options: Options) -> dict[str, str]:
    """Return the headers that carry secrets, the key's among them."""
    own = {options.key_header: key_of(options)} if options.key_header else None
    key = (own or options.protocol.key_headers(key_of(options))) if key_of(options) else {}
    return key | base.opened(options.secret_headers)


def plain_headers(options: Options, accept: str) -> dict[str, str]:
    """Return all other headers of a request."""
    version = {"anthropic-version": chat_anthropic.VERSION} if options.dialect == "anthropic" else {}
    return {"Accept": accept, "Content-Type": "application/json", **version, **options.headers}
