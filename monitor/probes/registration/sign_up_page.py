"""Is what came instead of a sign-up page one that tells anything of signing up? If not, why not."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.core.model.reasons import Reason
from monitor.core.model.registration import MethodReading
from monitor.probes.page import read_page
from monitor.text.trouble import foreign_in, trouble_in
from monitor.wire import text_of


def cannot_tell(
    headers: Mapping[str, str], body: bytes, url: str, elsewhere: str, readings: tuple[MethodReading, ...]
) -> tuple[Reason, str] | None:
    """Return reason and detail of a page with status 200 that says nothing of signing up, or ``None``.

    A statement about registration is believed on any page of the site. Buttons and fields are not, where the page is
    but a notice of trouble or stands on a parked domain: "sign up for news" is no registration. A page on which
    nothing was found has shown nothing either, whatever it is, so it is never good news.
    """
    page = read_page(text_of(headers, body), url)
    if page.challenge:
        return Reason.BLOCKED, f"{page.challenge} turned the robot away with a page of its own"
    if elsewhere:
        return Reason.UNREADABLE, f"a redirect led to another site, {elsewhere}"
    if any(not reading.excerpt.startswith(OFFERS) for reading in readings):
        return None
    trouble = trouble_in(page.words)
    said = foreign_in(page.words) or (trouble.words if trouble else "")
    if said and (page.is_notice or not readings):
        return Reason.UNREADABLE, f'the page says "{said}" where signing up is due'
    if readings:
        return None
    if not body.strip():
        return Reason.UNREADABLE, "HTTP 200 without a word where a sign-up page is due"
    what = "shows nothing" if page.is_shell else "neither says nor offers anything about signing up"
    return Reason.UNREADABLE, f"the page {what}"


OFFERS = "the page offers: "
"""How the excerpt of what markup offers begins, unlike that of words."""
