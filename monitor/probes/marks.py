"""Is this page the product? Marks that were declared or learned on good days, words of trouble, and the verdict.

A page is good if it bears the marks of the product: one of those that the configuration declares, or more than half of
those that were learned. Without them its words decide: words of trouble make it the service's, and anything else is
*content changed*, which is unknown (:data:`Reason.CHANGED`): a redesign, a parked domain and somebody else's network
look alike from here.

Learning: a mark is stable if nine of ten good looks bear it. A window of good looks is complete after 20 of them over
six hours; until the first is, the status judges and the look says ``page.learning``. Nothing is learned from a
challenge, from words of trouble, from a foreign or empty page. Afterwards every further window of pages that were good
*by the marks before it* replaces them, so a product that changes piece by piece is followed. A page that has lost its
marks is never learned by itself, however long it stays: set ``learn_from`` to the day of the redesign, or declare
marks.

Kept in ``ctx.memory["page"]``: what was learned, when, from which address and how many looks, and the open window.
After the first window only one look in fifteen minutes is taken, so that memory is seldom written.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from functools import partial
from typing import Any

from pydantic import field_validator

from monitor.core.model.reasons import Reason
from monitor.core.model.warning_codes import WarningCode
from monitor.probes import base
from monitor.probes.answers import is_html
from monitor.probes.base import host_of
from monitor.probes.page import Page, checked_mark, is_other_site, read_page
from monitor.text.trouble import foreign_in, parked_in, trouble_in, trouble_in_path
from monitor.wire import Answer

FEWEST_LOOKS = 20
SHORTEST_S = 6 * 3600.0
SPACING_S = 900.0
STABLE_SHARE = 0.9
MOST_LEARNED = 12
_MOST_COUNTED = 60
MEMORY = "page"
_BODILESS = frozenset({204, 205})
"""Good answers that have no body by their own word."""


@dataclass(slots=True)
class Learned:
    """What a probe knows of its page."""

    url: str = ""
    marks: list[str] = field(default_factory=list)
    at: float = 0.0
    """When these marks were learned (Unix seconds); 0 while none were."""
    looks: int = 0
    """From how many good looks."""
    since: float = 0.0
    """Start of the open window."""
    last: float = 0.0
    seen: int = 0
    """Good looks in it."""
    counts: dict[str, int] = field(default_factory=dict)
    found: list[str] = field(default_factory=list)
    """Of all marks, declared and learned, those that the newest page bore."""
    missing: list[str] = field(default_factory=list)

    @property
    def is_learning(self) -> bool:
        """True until the first window is complete."""
        return not self.at

    def progress(self) -> str:
        """Say how far the first window is."""
        hours = max(0.0, self.last - self.since) / 3600
        return f"{self.seen} of {FEWEST_LOOKS} good looks over {hours:.1f} of {SHORTEST_S / 3600:.0f} h"

    def take(self, page: Page, now_s: float) -> None:
        """Count a good page; a complete window becomes what is known."""
        if self.seen and not now_s - self.last >= 0:  # the clock was set back: this window proves nothing
            self.seen, self.counts = 0, {}
        wait_s = SPACING_S if self.at or self.seen >= FEWEST_LOOKS else 0.0
        due = not self.seen or now_s - self.last >= wait_s or (not self.at and now_s - self.since >= SHORTEST_S)
        if not due:
            return
        self.since = now_s if not self.seen else self.since
        self.last, self.seen = now_s, self.seen + 1
        for mark in page.marks:
            self.counts[mark] = self.counts.get(mark, 0) + 1
        if len(self.counts) > _MOST_COUNTED:
            kept = sorted(self.counts.items(), key=lambda item: -item[1])[: _MOST_COUNTED // 2]
            self.counts = dict(kept)
        if self.seen >= FEWEST_LOOKS and self.last - self.since >= SHORTEST_S:
            stable = [mark for mark, count in self.counts.items() if count >= STABLE_SHARE * self.seen]
            self.marks, self.at, self.looks = stable[:MOST_LEARNED], now_s, self.seen
            self.seen, self.counts = 0, {}


def recall(stored: Any, url: str, learn_from: date | None) -> Learned:
    """Return what is remembered of this page; nothing if it was another address, is too old, or makes no sense."""
    try:
        known = Learned(**stored)
        sound = (
            known.url == url
            and isinstance(known.found, list)
            and isinstance(known.missing, list)
            and all(isinstance(n, int | float) for n in (known.at, known.looks, known.since, known.last, known.seen))
            and all(isinstance(mark, str) for mark in [*known.marks, *known.counts])
            and all(isinstance(count, int) for count in known.counts.values())
        )
    except (TypeError, AttributeError):
        return Learned(url)
    if not sound:
        return Learned(url)
    if learn_from is not None and max(known.at, known.since) < datetime.combine(learn_from, time(), UTC).timestamp():
        return Learned(url)
    return known


def stored(known: Learned) -> dict[str, Any]:
    """Return what :func:`recall` takes."""
    return {name: getattr(known, name) for name in Learned.__slots__}


@dataclass(frozen=True, slots=True)
class Found:
    """What a page shows, beside its verdict."""

    reason: Reason = Reason.OK
    detail: str = ""
    warnings: tuple[WarningCode, ...] = ()


def judge_page(page: Page, declared: tuple[str, ...], known: Learned, now: datetime, elsewhere: str = "") -> Found:
    """Judge a page that came with a good status, and learn from it if it is one to learn from.

    ``elsewhere`` is the undeclared site that a redirect led to, ``""`` for none.
    """
    if page.challenge:
        return Found(Reason.BLOCKED, f"{page.challenge} turned the robot away with a page of its own")
    wanted = tuple(dict.fromkeys([*declared, *known.marks]))
    found = tuple(mark for mark in wanted if page.bears(mark))
    missing = tuple(mark for mark in wanted if mark not in found)
    known.found, known.missing = list(found), list(missing)
    trouble, foreign = trouble_in(page.words), foreign_in(page.words)
    borne = sum(mark in found for mark in known.marks) * 2 > len(known.marks)
    is_product = not (elsewhere or page.is_shell) and (borne or any(mark in found for mark in declared))
    judges_status = known.is_learning and not declared and not elsewhere
    if trouble and not judges_status and (page.is_notice or not is_product):
        return Found(trouble.reason, f'the page says "{trouble.words}"{_lacks(missing)}')
    # A parked or expired domain keeps its own name in the title, so no mark outweighs a notice that says so.
    parked = parked_in(page.words) if page.is_notice and not judges_status else ""
    if parked or not (is_product or judges_status):
        why = (
            f"a redirect led to another site, {elsewhere}"
            if elsewhere
            else f'the page says "{foreign}"'
            if foreign
            else "the page is an empty shell: nothing to show and nothing to run"
            if page.is_shell
            else "the page changed and does not say why"
        )
        return Found(Reason.CHANGED, why + _lacks(missing))
    if not (trouble or foreign or page.is_shell):
        known.take(page, now.timestamp())
    notes = (WarningCode.PAGE_LEARNING,) if known.is_learning and not declared else ()
    return Found(Reason.OK, "", notes)


class PageOptions(base.OverProxy):
    """What can be said of a page that should be the product's; part of the options of the kinds that open pages."""

    marks: base.Words = ()
    """Marks of the product (:mod:`monitor.probes.page`): the page is good if it bears one. Others are learned."""
    sites: base.Words = ()
    """Domains that a redirect may lead to beside the address's own."""
    learn_from: date | None = None
    """What was learned before this day (UTC) is forgotten: the day of a redesign."""

    @field_validator("marks")
    @classmethod
    def _marks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(checked_mark, value))

    def recall(self, memory: dict[str, Any]) -> Learned:
        """Return what a probe with these options remembers of its page."""
        return recall(memory.get(MEMORY), self.address(), self.learn_from)


async def judge_answer(options: PageOptions, answer: Answer, asked: str, ctx: base.Context) -> Found:
    """Judge an answer with a good status to a request for ``asked`` that may be a page, and remember what it teaches.

    What never was a page and has no declared marks is left to its status: an API's answer, a file. Nothing at all is no
    answer, for every kind that reads one.
    """
    known = options.recall(ctx.memory)
    elsewhere = _elsewhere(answer, asked, options.sites)
    due = bool(options.marks) or bool(known.marks)
    if 300 <= answer.status < 400:
        return _redirected(answer, elsewhere, due=due)
    if answer.body.strip() and is_html(answer.headers, answer.body):
        before = stored(known)
        # Apart: half a megabyte of markup is read, and other looks are being timed.
        page = await base.apart(ctx, partial(read_page, answer.text, answer.url))
        verdict = judge_page(page, options.marks, known, ctx.now, elsewhere)
        if (after := stored(known)) != before:
            ctx.memory[MEMORY] = after
        return verdict
    if elsewhere:
        return Found(Reason.CHANGED, f"a redirect led to another site, {elsewhere}")
    if not answer.body.strip() and (due or answer.status not in _BODILESS):
        what = "the product's page" if due else "a page or data"
        return Found(Reason.EMPTY, f"HTTP {answer.status} without a word where {what} is due")
    return Found(Reason.CHANGED, "no web page where the product's page is due") if due else Found()


def not_data(answer: Answer) -> tuple[Reason, str] | None:
    """Return what an answer with a good status is where data (JSON) is due; ``None`` if it may be data.

    One rule for all kinds: empty is ``service.empty``; a web page with words of trouble is the service's; any other
    web page means that somebody stands before the data: a wall, a proxy, a wrong address.
    """
    if answer.status >= 300:
        return None
    if not answer.body.strip():
        return Reason.EMPTY, f"HTTP {answer.status} without a word where data was due"
    return undue_page(answer.status, answer.text, answer.url) if is_html(answer.headers, answer.body) else None


def undue_page(status: int, text: str, url: str) -> tuple[Reason, str]:
    """Return what a web page with a good status is where data was due."""
    page = read_page(text, url)
    if not page.challenge and (trouble := trouble_in(page.words)):
        return trouble.reason, f'HTTP {status} with a web page that says "{trouble.words}" where data was due'
    return Reason.BLOCKED, f"HTTP {status} with a web page where data was due"


def _elsewhere(answer: Answer, asked: str, sites: tuple[str, ...]) -> str:
    target = answer.headers.get("location", "") if 300 <= answer.status < 400 else answer.url
    return (host_of(target) or "an unreadable address") if is_other_site(target, asked, sites) else ""


def _redirected(answer: Answer, elsewhere: str, *, due: bool) -> Found:
    """Judge a redirect that was accepted and not followed: it shows no page, but its address may say enough."""
    location = answer.headers.get("location", "")
    if (
        trouble_in_path("/" + location.partition("://")[2].partition("/")[2] if "://" in location else location)
        == "trouble"
    ):
        return Found(Reason.CONTENT, f"HTTP {answer.status} to a page of trouble")
    if elsewhere:
        return Found(Reason.CHANGED, f"HTTP {answer.status} to another site, {elsewhere}")
    if due:
        return Found(Reason.CHANGED, f"HTTP {answer.status} where the product's page is due")
    return Found()


def _lacks(missing: tuple[str, ...]) -> str:
    return f"; missing {', '.join(missing[:5])}" if missing else ""
