"""Whose trouble it is, in a sentence and as JSON. Of the text itself only a status and a host are repeated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from monitor.cli.errors.judging import Judged
from monitor.cli.errors.measured import Measured, joined
from monitor.cli.errors.speakers import Speaker
from monitor.core.model.reasons import Reason, Scope
from monitor.core.model.states import Health
from monitor.text.lexicon import Lexicon

CODES = {Scope.NONE: 0, Scope.SERVICE: 10, Scope.DEGRADED: 10, Scope.ACCOUNT: 11, Scope.PROBE: 12}
"""Exit codes: nothing is wrong; theirs; yours: the account; yours: request, settings or network."""
UNKNOWN_CODE = 13
"""Nothing in the text is an error that we know."""


@dataclass(frozen=True, slots=True)
class Told:
    """The answer to "me or them?"."""

    judged: Judged | None
    said_by: Speaker
    now: Measured | None = None

    @property
    def reason(self) -> Reason | None:
        """The reason with what is measured taken into account."""
        return None if self.judged is None else joined(self.judged.reason, self.now)

    @property
    def exit_code(self) -> int:
        """What a script gets."""
        return UNKNOWN_CODE if self.reason is None else CODES[self.reason.scope]

    def as_json(self, words: Lexicon) -> dict[str, Any]:
        """Return the document that ``--json`` prints."""
        reason = self.reason
        return {
            "scope": None if reason is None else reason.scope.value,
            "reason": None if reason is None else reason.value,
            "sentence": self.sentence(words),
            "status": self.judged.status or None if self.judged else None,
            "host": self.said_by.host or None,
            "vendor": self.said_by.vendor or None,
            "measured": None if self.now is None else self.now.as_json(),
        }

    def whose(self, words: Lexicon) -> str:
        """Say in a word or two whose it is."""
        scope = "unknown" if self.reason is None else self.reason.scope.value
        return words.section("ask_whose", scope)

    def sentence(self, words: Lexicon) -> str:
        """Return one sentence: who said what, what that means, and what is measured now."""
        ask = _Ask(words)
        known, reason = self.judged, self.reason
        if known is None or reason is None:
            what = ask("unknown")
        else:
            what = ask("no_model") if known.no_model and reason is known.reason else ask.meaning(reason)
        told = "" if known is None or known.status < 400 else str(known.status)
        name = self.said_by.name
        if told or name:
            key = "from_both" if told and name else "from_status" if told else "from_name"
            what = ask(key, status=told, name=name, what=what)
        now = self._now(ask, words)
        if not now and reason is not None and reason.is_network_class and reason.scope is Scope.SERVICE:
            now = [ask("either")]
        whole = (
            ask("with_now", what=what, now=ask("both", first=now[0], last=now[-1]) if now[1:] else now[0])
            if now
            else what
        )
        if not (told or name):
            whole = whole[:1].upper() + whole[1:]
        return whole + ask("stop")

    def _now(self, ask: _Ask, words: Lexicon) -> list[str]:
        """Return what is measured: our looks first, the vendor's page after it."""
        if self.now is None:
            return []
        part = self.now.component
        name = words.section("kind", part.kind) or part.names.get(words.language.value, part.name)
        if self.now.our_key is False:
            told = ask("our_key_too", name=name)
        elif part.maintenance:
            told = ask("maintenance", name=name)
        elif self.now.works:
            told = ask("answers_key" if self.now.our_key else "works", name=name)
        elif part.health is Health.UNKNOWN:
            told = ask("untold", name=name)
        else:
            told = ask(
                "trouble",
                clause=words.fill("health_clause", part.health, None, name=name),
                reason=words.of(part.reason),
            )
        if self.now.page is None:
            return [told, ask("page_unread")] if self.now.page_failed else [told]
        key = {Health.OPERATIONAL: "page_green", Health.UNKNOWN: "page_untold"}.get(self.now.page, "page_trouble")
        return [told, ask(key, state=words.of(self.now.page))]


class _Ask:
    """The words of this command in one language."""

    def __init__(self, words: Lexicon) -> None:
        self._words = words

    def __call__(self, key: str, **values: str) -> str:
        return self._words.fill("ask", key, None, **values)

    def meaning(self, reason: Reason) -> str:
        """Say what a reason means to whoever asks: "our key" of the monitor is "your key" here."""
        own = self._words.table["ask_reason"].get(reason.value)
        return str(own) if own else self._words.of(reason)
