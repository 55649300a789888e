"""Azure OpenAI's own paths: the deployment stands in the address, the API's version behind it, the key in ``api-key``.

Answers are those of chat completions. Azure's newer paths under ``/openai/v1`` need none of this: there ``openai`` with
``key_header: api-key`` is enough. Source: Azure OpenAI REST API reference, ``2024-10-21``.
"""

from __future__ import annotations

from urllib.parse import quote

from monitor.probes.chat.ask import Place
from monitor.probes.chat.openai import read_body, read_event, request

__all__ = ["LISTS_MODELS", "STREAMS", "key_headers", "models_url", "read_body", "read_event", "request", "url"]

STREAMS = True
LISTS_MODELS = False
"""The list has the models that a resource may deploy, not its deployments."""


def _root(base_url: str) -> str:
    return base_url.rstrip("/").removesuffix("/openai") + "/openai"


def url(place: Place) -> str:
    """Return where to ask; the base address may or may not end in ``/openai``."""
    deployment = quote(place.model, safe="")
    return f"{_root(place.base_url)}/deployments/{deployment}/chat/completions?api-version={quote(place.api_version)}"


def models_url(place: Place) -> str:
    """Return where the models are listed."""
    return f"{_root(place.base_url)}/models?api-version={quote(place.api_version)}"


def key_headers(key: str) -> dict[str, str]:
    """Return the secret headers of a request."""
    return {"api-key": key}
