"""The HTTP status of an error that was no transcript: in words, or by the name of the exception.

Names: openai, anthropic, groq, together (one family), litellm, google-genai, google-api-core, cohere, botocore.
"""

from __future__ import annotations

import re
from http import HTTPStatus

from monitor.probes.chat.answer.reply import ApiError

_CODE = r"((?!443)[45][0-9]{2})(?![0-9])"
"""443 is a port."""
_ENDED = "(?:error|failed|responded|returned)"
_PHRASES = (
    r"unauthorized|forbidden|not found|payment required|too many requests|bad request|internal server error|bad gateway"
    r"|service (?:temporarily )?unavailable|gateway time-?out|request timeout|unprocessable|overloaded"
    r"|request entity too large|method not allowed|conflict|client error|server error|site is overloaded"
)
_GRPC = {
    "invalid_argument": 400,
    "failed_precondition": 400,
    "out_of_range": 400,
    "unauthenticated": 401,
    "permission_denied": 403,
    "not_found": 404,
    "already_exists": 409,
    "aborted": 409,
    "resource_exhausted": 429,
    "cancelled": 499,
    "internal": 500,
    "unknown": 500,
    "unimplemented": 501,
    "unavailable": 503,
    "deadline_exceeded": 504,
}
"""google.rpc.Code → HTTP, as googleapis/google/rpc/code.proto maps them."""
_WORDS = (
    rf"error code[:=]?\s{{0,3}}{_CODE}",
    rf"status[_ ]?code[\"']?\s{{0,3}}[:=]?\s{{0,3}}[\"'(]?{_CODE}",
    rf"(?:client|server) error '{_CODE}",
    rf"\b{_CODE} (?:client|server) error",
    rf"(?:requested url returned error|does not indicate success): {_CODE}",
    rf"\b{_CODE}[ _](?:{'|'.join(_GRPC)})\b",
    rf"\bhttp[ /]?(?:[0-9.]{{1,3}})?[ -]?(?:status|error|response)?(?: (?:client|server) error)?[ :(=]{{1,3}}{_CODE}",
    rf"\b(?:api|server|request|response|call)[ \w]{{0,30}}{_ENDED}[ \w]{{0,30}}[:(= ]{{1,3}}{_CODE}",
    rf"\bstatus[\"']?\s{{0,3}}[:= ]\s{{0,3}}[\"'(]?{_CODE}",
    rf"[\[(]{_CODE} [A-Z]",
    rf"\b{_CODE}[ :,]{{1,3}}(?:{_PHRASES})\b",
    rf"(?:error|exception|message|failed)[ :(\[-]{{1,4}}{_CODE}",
    rf"[\]=:]\s?{_CODE} [A-Z]",
    rf"\berr(?:or)? response {_CODE}",
    rf"\b[a-z_]+\.[\w.]{{1,80}}: {_CODE} ",
    rf"(?:^|\n)[ \t]{{0,8}}{_CODE}(?: [A-Z{{\"]|[ \t]{{0,8}}(?:\n|$)|[:,] )",
    rf"\bcode[\"']?\s{{0,3}}[:=]\s{{0,3}}[\"'(]?{_CODE}",
    rf"[(:]\s?{_CODE}\)?\s{{0,3}}$",
)
_PATTERNS = tuple(re.compile(words, re.IGNORECASE) for words in _WORDS)

_NAMED = {
    "badrequest": 400,
    "invalidrequest": 400,
    "invalidargument": 400,
    "contextwindowexceeded": 400,
    "contentpolicyviolation": 400,
    "validation": 400,
    "authentication": 401,
    "unauthorized": 401,
    "unauthenticated": 401,
    "unrecognizedclient": 401,
    "expiredtoken": 401,
    "apiauthentication": 401,
    "permissiondenied": 403,
    "forbidden": 403,
    "accessdenied": 403,
    "notfound": 404,
    "resourcenotfound": 404,
    "modelnotfound": 404,
    "conflict": 409,
    "requesttoolarge": 413,
    "unprocessableentity": 422,
    "ratelimit": 429,
    "toomanyrequests": 429,
    "throttling": 429,
    "resourceexhausted": 429,
    "apireachlimit": 429,
    "internalserver": 500,
    "apiinternal": 500,
    "badgateway": 502,
    "serviceunavailable": 503,
    "apiserverflowexceed": 503,
    "overloaded": 529,
    "deadlineexceeded": 504,
    "gatewaytimeout": 504,
    "modeltimeout": 408,
}
_NAME = re.compile(
    rf"(?<![a-z])({'|'.join(sorted(_NAMED, key=len, reverse=True))})(?:error|exception)\b", re.IGNORECASE
)
_BARE = re.compile(
    r"(?:google\.api_core\.exceptions\.|exceptions\.|^|\n)"
    r"(ResourceExhausted|Unauthenticated|PermissionDenied|InvalidArgument|NotFound|ServiceUnavailable|DeadlineExceeded"
    r"|TooManyRequests|InternalServerError|Unauthorized|Forbidden|BadRequest):"
)
_STATUS_CODE = re.compile(rf"(?:StatusCode\.|code = |\bstatus\W{{1,5}})({'|'.join(_GRPC)})\b", re.IGNORECASE)


_KINDS = {
    "invalid_grant": 401,
    "invalid_request_error": 400,
    "bad_request_error": 400,
    "not_found_error": 404,
    "request_too_large": 413,
    "unprocessable_entity_error": 422,
}
"""Types of errors that stand for one status alone; the others are known to the taxonomy."""


def status_of_error(error: ApiError) -> int:
    """Return the status that belongs to an error of which only the body is there; 0 where that is open."""
    for name in (error.type, error.code, error.message):
        if status := _KINDS.get(name.lower()) or _GRPC.get(name.lower(), 0):
            return status
    phrase = error.message.strip(" .!").lower()
    return next((one.value for one in HTTPStatus if one.value >= 400 and one.phrase.lower() == phrase), 0)


_SPOKEN = (
    (429, re.compile(r"\brate[- ]limited\b|too many requests|limiting requests", re.IGNORECASE)),
    (500, re.compile(r"internal (?:server )?error|something went wrong on our end", re.IGNORECASE)),
    (502, re.compile(r"bad gateway", re.IGNORECASE)),
    (503, re.compile(r"service (?:is )?(?:temporarily )?unavailable", re.IGNORECASE)),
    (504, re.compile(r"gateway time-?out", re.IGNORECASE)),
    (401, re.compile(r"\bunauthorized\b|authentication failed|not authenticated", re.IGNORECASE)),
)
"""Statuses in words alone: what is left of an error once somebody put it into a sentence."""


def status_spoken(text: str) -> int:
    """Return the status that a sentence tells in words; 0 for none."""
    return next((status for status, words in _SPOKEN if words.search(text)), 0)


def status_told(text: str) -> int:
    """Return the status that a text names in figures, the last one of the plainest way of saying it; 0 for none."""
    for pattern in _PATTERNS:
        if found := pattern.findall(text):
            return int(found[-1])
    return 0


def status_of_name(text: str) -> int:
    """Return the status that belongs to the name of the last exception, or of a gRPC code; 0 for none."""
    if found := _STATUS_CODE.findall(text):
        return _GRPC[found[-1].lower()]
    if found := _NAME.findall(text):
        return _NAMED[found[-1].lower()]
    if found := _BARE.findall(text):
        return _NAMED.get(found[-1].lower().removesuffix("error"), 500)
    return 0
