"""DeepSeek: the banners among the settings of its web client; their envelope is known from public clients only."""

from __future__ import annotations

from uuid import UUID

from monitor.core.model.registration import Source
from monitor.core.model.warning_codes import WarningCode
from monitor.probes.base import Context
from monitor.probes.registration.detector import Detector, Heard, Reading, unread
from monitor.probes.registration.phrases import says_existing_users_can_log_in, settled, statements
from monitor.text.cleaner import as_map, clean, visible_text

_BANNER_STRINGS = 200


def read(heard: Heard) -> Reading:
    """Return what the answer says."""
    document = heard.fields
    data = as_map(document.get("data"))
    settings = as_map(data.get("biz_data")).get("settings")
    if document.get("code") != 0 or data.get("biz_code") != 0 or not isinstance(settings, dict):
        code = clean(data.get("biz_msg") or document.get("msg"), 60)
        return unread(
            f"the settings endpoint refused: {code or 'no settings in the answer'}",
            WarningCode.REGISTRATION_FIELD_MISSING,
        )
    texts: list[str] = []
    _strings(settings, texts, 0)
    said = [statement for text in texts for statement in statements(visible_text(text), Source.OFFICIAL_TEXT)]
    readings, contradictory = settled(said)
    warnings = [WarningCode.REGISTRATION_CONTRADICTORY] if contradictory else []
    if any(says_existing_users_can_log_in(text) for text in texts):
        warnings.append(WarningCode.REGISTRATION_EXISTING_USERS_CAN_LOG_IN)
    # No announcement does not mean open: nothing was said.
    silent = "an announcement that says nothing of registration" if texts else "no announcement"
    return Reading(readings, tuple(warnings), detail="" if readings else silent)


def _strings(value: object, found: list[str], depth: int) -> None:
    """Collect every string below a banner; what a banner's value looks like inside is not documented."""
    if len(found) >= _BANNER_STRINGS or depth > 8:
        return
    if isinstance(value, str):
        if len(value.strip()) > 3:
            found.append(value[:4000])
    elif isinstance(value, dict | list):
        for item in list(value.values() if isinstance(value, dict) else value)[:_BANNER_STRINGS]:
            _strings(item, found, depth + 1)


def device(ctx: Context) -> dict[str, str]:
    """Return what the endpoint wants to know: a device's id, which stays the same between looks, and the banners."""
    return {"did": ctx.memory.setdefault("did", str(UUID(int=ctx.rng.getrandbits(128), version=4))), "scope": "banner"}


KIND = Detector("deepseek_banner", read, path="/api/v0/client/settings", query=device, announces=True)
