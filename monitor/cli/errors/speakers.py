"""Who answered: the host that a text names, or the vendor whose library or links it bears. Nothing else is repeated.

A host is taken from where an address was asked, never from a link to documentation; one that may itself be a secret
(a key in its place, a long random label) is not taken at all.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple
from urllib.parse import urlsplit

from monitor.text.redaction import redact


class Speaker(NamedTuple):
    """``host`` was read; ``vendor`` is its name where known, ``usual_host`` where its API answers."""

    host: str = ""
    vendor: str = ""
    usual_host: str = ""

    @property
    def name(self) -> str:
        """What to call it; ``""`` when nobody is named."""
        return self.host or self.vendor


_VENDORS: tuple[tuple[str, str, str], ...] = (
    ("Azure OpenAI", "", r"openai\.azure\.com|azureexception|azure ?openai|cognitiveservices\.azure"),
    ("Amazon Bedrock", "", r"bedrock|botocore|invokemodel|calling the converse"),
    ("OpenRouter", "openrouter.ai", r"openrouter"),
    ("DeepSeek", "api.deepseek.com", r"deepseek(?:\.com|exception|chat\b)|api-docs\.deepseek"),
    ("xAI", "api.x.ai", r"\bx\.ai\b|xaiexception|xai_sdk"),
    ("Groq", "api.groq.com", r"groq\.\w|groqexception|console\.groq"),
    ("Mistral", "api.mistral.ai", r"mistral(?:\.ai|ai\.|exception)|sdkerror: api error occurred"),
    ("Moonshot", "api.moonshot.ai", r"moonshot|kimi"),
    ("Zhipu", "open.bigmodel.cn", r"bigmodel|zhipu|\bzai\.|z\.ai\b"),
    ("Qwen", "dashscope.aliyuncs.com", r"dashscope|aliyun|alibabacloud"),
    ("Volcengine Ark", "ark.cn-beijing.volces.com", r"volces|volcengine|\bark\b"),
    ("SiliconFlow", "api.siliconflow.com", r"siliconflow"),
    ("MiniMax", "api.minimax.io", r"minimax"),
    ("Cohere", "api.cohere.com", r"cohere"),
    ("Together", "api.together.xyz", r"together(?:\.ai|\.xyz|\.error|_ai|ai)"),
    ("Fireworks", "api.fireworks.ai", r"fireworks"),
    ("Perplexity", "api.perplexity.ai", r"perplexity"),
    ("Cerebras", "api.cerebras.ai", r"cerebras"),
    (
        "Google",
        "generativelanguage.googleapis.com",
        r"googleapis|google\.(?:genai|api_core|generativeai)|ai\.google\.dev|vertex|googlegenerativeai|gemini",
    ),
    (
        "Anthropic",
        "api.anthropic.com",
        r"anthropic(?:\.\w|exception|error|-ratelimit)|\"request_id\":\s?\"req_01|claude\.com|claude api|anthropic api",
    ),
    ("OpenAI", "api.openai.com", r"platform\.openai\.com|help\.openai\.com|openaiexception|api\.openai\.com"),
)
"""Gateways and resellers first: they hand on the words of others. A model's name is no sign: others serve it, too."""
_COMPILED = tuple((name, host, re.compile(marks, re.IGNORECASE)) for name, host, marks in _VENDORS)

_URL = r"https?://([^\s'\"<>\\)\]},|]{1,300})"
_NAME = r"([\w-]{1,63}(?:\.[\w-]{1,63}){1,8})"
_PATHS = r"(?:v1\b|v1beta|v2/chat|chat/completions|messages\b|api/(?:v\d|paas|chat)|openai/)"
_ASKED = (
    rf"for url:? ['\"]?{_URL}",
    rf"HTTP Request: [A-Z]{{3,7}} {_URL}",
    rf"(?:POST|GET|PUT) ['\"]?{_URL}",
    r"HTTPS?ConnectionPool\(host='([^'\s]{1,200})'",
    r"(?m)^>?[ \t]{0,3}[Hh]ost: ([\w.:-]{1,200})\s*$",
    r"Connected to ([\w.-]{1,200}) \(",
    rf"(?:resolve host:?|resolving|resolve|lookup|ENOTFOUND|EAI_AGAIN)[ (]{{1,2}}'?{_NAME}",
    rf"(?:[Ff]ailed to connect to|connect to host|connecting to) {_NAME}",
    rf"\bcurl\b[^\n]{{0,2000}}?{_URL}",
    rf"(?:base_?url|endpoint(?: url)?|api_base|fetching(?: from)?|request to)\W{{1,6}}{_URL}",
    rf"https?://([^\s'\"<>\\)\]}},|]{{1,200}}/{_PATHS})",
)
_PATTERNS = tuple(re.compile(pattern) for pattern in _ASKED)
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,120}[a-z0-9])?(?::\d{1,5})?")
_DOCUMENTATION = re.compile(r"^(?:docs?|help|support|platform|console|developer|developers|www|status|community)\.")
_MOST_CHARS = 256 * 1024


def speaker(text: str) -> Speaker:
    """Return who answered, as far as a text tells."""
    host = next((host for pattern in _PATTERNS for host in _hosts(pattern, text[-_MOST_CHARS:])), "")
    about = f"https://{host}/" if host else text
    name, usual = _vendor(about)
    return Speaker(host, name, usual)


def _hosts(pattern: re.Pattern[str], text: str) -> list[str]:
    """Return the hosts that a pattern finds, the most frequent first."""
    counts = Counter(host for found in pattern.findall(text) if (host := host_in(found)))
    return [host for host, _ in counts.most_common() if not _DOCUMENTATION.match(host)]


def host_in(address: str) -> str:
    """Return the host of an address without its scheme; ``""`` where it may be something secret, or is no host."""
    try:
        host = urlsplit(f"//{address}").netloc.rpartition("@")[2].lower()
    except ValueError:
        return ""
    if not _HOST.fullmatch(host) or redact(host, ()) != host or any(map(_may_be_secret, host.split("."))):
        return ""
    return host if "." in host or host.startswith("localhost") else ""


def _may_be_secret(label: str) -> bool:
    """Say whether a label looks drawn by lot, as those of tunnels and of keys in the wrong place do."""
    if label.startswith(("sk-", "pk-", "gsk", "xai-", "aiza")):
        return True
    digits = sum(letter.isdecimal() for letter in label)
    return len(label) >= 20 and (digits >= 4 or "-" not in label)


def _vendor(text: str) -> tuple[str, str]:
    return next(((name, host) for name, host, marks in _COMPILED if marks.search(text)), ("", ""))
