"""Why others see an answer otherwise: rules for kinds of difference; single answers may say it in ``why``."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from monitor.core.model.observations import Observation
from monitor.core.model.reasons import Reason, Scope
from tests.corpus.keeping import Kept
from tests.corpus.oracles import Said


class Difference(NamedTuple):
    """One answer, what Chatwatch said of it, and who said otherwise."""

    one: Kept
    seen: Observation
    tool: str
    said: Said

    @property
    def reads_no_body(self) -> bool:
        """Tell who judges status and framing only."""
        return self.tool in ("curl", "blackbox_exporter", "Chromium")


RULES: tuple[tuple[str, Callable[[Difference], bool]], ...] = (
    (
        (
            "Who may sign up is read from the answer: a 401 with the stages of registration is how Matrix tells "
            "it, and others know only its status"
        ),
        lambda d: d.one.kind == "registration" and not d.said.served,
    ),
    (
        (
            "It is about our own key, money, limit or region: unknown, and the operator is told, as nothing is "
            "known of the service; others know only failure"
        ),
        lambda d: d.seen.reason.scope is Scope.ACCOUNT and not d.said.served,
    ),
    (
        (
            "A refusal that is ours, inside an answer that came with status 200: who reads no body takes it for "
            "an answer"
        ),
        lambda d: d.seen.reason.scope is Scope.ACCOUNT and d.reads_no_body,
    ),
    (
        "It is about our own request (its address, model or size): unknown; others know only failure",
        lambda d: d.seen.reason is Reason.CONFIG and not d.said.served,
    ),
    (
        (
            "A wall or a front server turned the robot away: people may well be served, so it is unknown; others "
            "know only failure"
        ),
        lambda d: d.seen.reason is Reason.BLOCKED and not d.said.served,
    ),
    (
        (
            "A web page, or another protocol's answer, where an answer of the chat API was due: who reads no body "
            "takes it for one"
        ),
        lambda d: d.seen.reason in (Reason.BLOCKED, Reason.CONFIG) and d.reads_no_body,
    ),
    (
        (
            "A filter refused our question: nothing is known of the service. The library hands out an empty text, "
            "others read no body"
        ),
        lambda d: d.seen.reason is Reason.POLICY,
    ),
    (
        (
            "A name server that refuses to speak says something of itself and nothing of the name: unknown. The "
            "exporter watches that server"
        ),
        lambda d: d.one.kind == "dns" and d.seen.reason is Reason.NETWORK,
    ),
    (
        (
            "The name is there and has no such record: with us at least one is wanted (`min_answers`), the "
            "exporter needs a rule for that"
        ),
        lambda d: d.one.kind == "dns" and d.seen.reason is Reason.DNS and d.said.served,
    ),
    (
        (
            "A redirect is an answer, as for curl and Chromium. The exporter was told not to follow it, since the "
            "site's own name does not lead to the replay, and takes 3xx for failure"
        ),
        lambda d: d.tool == "blackbox_exporter" and d.said.words.startswith("3"),
    ),
    (
        (
            "Status 200 without a word is no answer with us (a process that died behind its front server); "
            "`method: HEAD` watches an address that has none. Others judge the status alone"
        ),
        lambda d: d.seen.reason is Reason.EMPTY and d.reads_no_body,
    ),
    (
        (
            "The stream broke off, says nothing or holds the vendor's error: who judges status and framing alone "
            "takes it for served"
        ),
        lambda d: d.one.kind in ("chat", "anthropic") and d.reads_no_body and d.said.served,
    ),
    (
        "The library does not notice that the end of the stream is missing, and hands out half an answer",
        lambda d: d.seen.reason is Reason.TRUNCATED and d.said.served,
    ),
    (
        (
            "All tokens were spent on reasoning before a visible word: the service worked, the library hands out "
            "an empty text"
        ),
        lambda d: "chat.spent_on_reasoning" in d.seen.warnings and not d.said.served,
    ),
    (
        (
            "A stream was asked for and the whole answer came: the library cannot use it; we read it and warn "
            "(`protocol.not_streamed`)"
        ),
        lambda d: "protocol.not_streamed" in d.seen.warnings and not d.said.served,
    ),
)


def explanation(one: Kept, seen: Observation, tool: str, said: Said) -> str:
    """Return why somebody sees an answer otherwise, ``""`` if nobody knows."""
    difference = Difference(one, seen, tool, said)
    return one.why or next((why for why, holds in RULES if holds(difference)), "")
