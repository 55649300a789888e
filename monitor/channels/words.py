"""A notice as plain words: a title, and facts as (name, value) pairs. Every channel dresses the same words."""

from __future__ import annotations

from monitor.channels.base import Notice
from monitor.core.entities import Alert
from monitor.core.model.alert_rules import Rule
from monitor.core.model.alerting import AlertState
from monitor.text.alerts import alert_line, fact_rows, rule_label
from monitor.text.cleaner import plain
from monitor.text.lexicon import Language, Lexicon, lexicon
from monitor.text.signup import sign_up


def title(notice: Notice) -> str:
    """Return one line that says how loud, what and where."""
    alert, words = notice.alert, lexicon(notice.language)
    said = line(alert, notice.service_name, notice.component_name, notice.language)
    head = words.section("notice", "test" if notice.test else "resolved") if notice.test or notice.resolved else ""
    return plain(words.fill("notice", "title", head=head or capital(words.of(alert.severity)), line=said), 200)


def line(alert: Alert, service_name: str = "", component_name: str = "", language: Language = Language.EN) -> str:
    """Return an alert in one line without its severity: "DeepSeek API is down"."""
    words, named = lexicon(language), (service_name or alert.service, component_name or alert.component)
    where = plain(" ".join(part for part in named if part)) or "Chatwatch"
    over = alert.state is AlertState.RESOLVED
    return plain(alert_line(alert, where, over, words, _short), 200)


def facts(notice: Notice) -> list[tuple[str, str]]:
    """Return what is known, in the order in which a person wants it."""
    alert, words = notice.alert, lexicon(notice.language)
    rows = [(words.section("notice", "since"), f"{alert.started_at:%Y-%m-%d %H:%M:%S} UTC")]
    if alert.resolved_at:
        rows.append((words.section("notice", "until"), f"{alert.resolved_at:%Y-%m-%d %H:%M:%S} UTC"))
        rows.append(
            (words.section("notice", "lasted"), words.duration((alert.resolved_at - alert.started_at).total_seconds()))
        )
    if alert.rule is Rule.DIGEST:
        return [*rows, *_among(notice, words)]
    if alert.rule is Rule.REGISTRATION_CHANGED:
        said = sign_up(alert, notice.resolved, words, _short)
        rows.append((words.section("notice", "sign_up"), capital(said.removeprefix("sign-up "))))
    rows += [(plain(name, 40), plain(value)) for name, value in fact_rows(alert, words)]
    if notice.why.value in words.table["why_now"]:
        rows.append((words.section("notice", "why_now"), words.section("why_now", notice.why)))
    if notice.tries:
        late = words.fill("notice", "late_text", notice.tries, time=f"{notice.at:%H:%M:%S}")
        rows.append((words.section("notice", "late"), late))
    if notice.url:
        rows.append((words.section("notice", "read_on"), notice.url))
    return rows


def _among(notice: Notice, words: Lexicon) -> list[tuple[str, str]]:
    """Return what a digest stands for: how many, of which rules, and the first of them by name."""
    summary = notice.alert.summary
    names = [plain(rule_label(name, words), 80) for name in summary.get("names", ())]
    count = int(summary.get("count", 0))
    counted = summary.get("rules", {}).items()
    named = ((plain(rule_label(rule, words), 40), number) for rule, number in counted)
    rules = (words.fill("digest", "counted", number, rule=name) for name, number in named)
    among = words("comma").join(names)
    if count > len(names):
        among = words.fill("digest", "left", count - len(names), names=among)
    told = {"alerts": str(count), "rules": words("comma").join(rules), "among": among}
    told["all_of_them"] = notice.url or words.section("digest", "everything")
    return [(words.section("notice", key), value) for key, value in told.items() if value]


def capital(text: str) -> str:
    """Return the text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def _short(text: str) -> str:
    return plain(text, 60)
