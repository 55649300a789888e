"""API errors in each vendor's own shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from monitor.simulator.state import Fault

Dialect = Literal["openai", "deepseek", "anthropic"]


class ApiError(NamedTuple):
    """One error as an API tells it."""

    status: int
    type: str
    message: str
    code: str | None = None
    headers: Mapping[str, str] = {}


_SPENT = {
    "retry-after": "20",
    "x-ratelimit-limit-requests": "60",
    "x-ratelimit-remaining-requests": "0",
    "x-ratelimit-reset-requests": "20s",
}

OPENAI: dict[Fault, ApiError] = {
    Fault.OVERLOADED: ApiError(503, "server_error", "The engine is currently overloaded, please try again later"),
    Fault.SERVER_ERROR: ApiError(500, "server_error", "The server had an error while processing your request"),
    Fault.AUTH: ApiError(401, "invalid_request_error", "Incorrect API key provided", "invalid_api_key"),
    Fault.REGION: ApiError(
        403, "request_forbidden", "Country, region, or territory not supported", "unsupported_country_region_territory"
    ),
    Fault.PAYMENT: ApiError(402, "insufficient_balance", "Insufficient balance"),
    Fault.QUOTA: ApiError(429, "insufficient_quota", "You exceeded your current quota", "insufficient_quota"),
    Fault.RATE_LIMIT: ApiError(429, "requests", "Rate limit reached for requests", "rate_limit_exceeded", _SPENT),
    Fault.THROTTLED: ApiError(429, "server_error", "Too many requests, please try again later"),
    Fault.SLOW_DOWN: ApiError(429, "server_error", "Slow down: the request rate rose too quickly", "slow_down"),
    Fault.MODEL_GONE: ApiError(404, "invalid_request_error", "The model does not exist", "model_not_found"),
    Fault.BAD_REQUEST: ApiError(400, "invalid_request_error", "The request could not be understood"),
}

DEEPSEEK: dict[Fault, ApiError] = OPENAI | {
    Fault.OVERLOADED: ApiError(503, "service_unavailable_error", "Service is too busy. 服务器繁忙，请稍后再试。"),
    Fault.AUTH: ApiError(401, "authentication_error", "Authentication Fails", "invalid_request_error"),
    Fault.PAYMENT: ApiError(402, "unknown_error", "Insufficient Balance", "invalid_request_error"),
    Fault.RATE_LIMIT: ApiError(
        429, "rate_limit_error", "Rate limit reached", "rate_limit_exceeded", {"retry-after": "20"}
    ),
    Fault.MODEL_GONE: ApiError(400, "invalid_request_error", "Model Not Exist", "invalid_request_error"),
}

ANTHROPIC: dict[Fault, ApiError] = {
    Fault.OVERLOADED: ApiError(529, "overloaded_error", "Overloaded"),
    Fault.SERVER_ERROR: ApiError(500, "api_error", "Internal server error"),
    Fault.AUTH: ApiError(401, "authentication_error", "invalid x-api-key"),
    Fault.REGION: ApiError(403, "permission_error", "Access from your region is not supported"),
    Fault.PAYMENT: ApiError(402, "billing_error", "There is an issue with your billing"),
    Fault.QUOTA: ApiError(429, "rate_limit_error", "The spend limit is reached", "enforced_spend_limit_reached"),
    Fault.RATE_LIMIT: ApiError(
        429,
        "rate_limit_error",
        "Number of requests has exceeded your rate limit",
        None,
        {
            "retry-after": "20",
            "anthropic-ratelimit-requests-limit": "50",
            "anthropic-ratelimit-requests-remaining": "0",
        },
    ),
    Fault.THROTTLED: ApiError(429, "rate_limit_error", "Too many requests"),
    Fault.SLOW_DOWN: ApiError(429, "rate_limit_error", "Slow down"),
    Fault.MODEL_GONE: ApiError(404, "not_found_error", "model not found"),
    Fault.BAD_REQUEST: ApiError(400, "invalid_request_error", "The request could not be understood"),
}

TABLES: dict[Dialect, dict[Fault, ApiError]] = {"openai": OPENAI, "deepseek": DEEPSEEK, "anthropic": ANTHROPIC}


def body(dialect: Dialect, error: ApiError) -> dict[str, object]:
    """Return the JSON body in the dialect's shape."""
    if dialect != "anthropic":
        return {"error": {"message": error.message, "type": error.type, "param": None, "code": error.code}}
    detail: dict[str, object] = {"type": error.type, "message": error.message}
    if error.code:
        detail["details"] = {"error_code": error.code}
    return {"type": "error", "error": detail, "request_id": "req_simulated"}
