"""The recorded past judged again under another policy: pages it would have sent, missed or delayed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from monitor.cli.common import Failure, Number, example, loaded, number, open_database, with_config
from monitor.cli.past.adopting import entry_of, given_of, offer, planned_change, same_as_tried
from monitor.core.catalogue import Catalogue, Policy, service_of

if TYPE_CHECKING:
    from monitor.cli.past.passes import Judged, Pass
    from monitor.config.adopt.wish import Adoption
    from monitor.core.review import Backtest, Page
    from monitor.core.unmade import Gap


@dataclass(frozen=True)
class Found:
    """What came of a backtest."""

    pages: Backtest
    gaps: tuple[Gap, ...]
    """Where the policy would have looked and nobody did."""
    left_out: int
    """Early looks that were made and that the policy would not have made."""
    drawings: Sequence[Backtest] = field(default=())
    """The same with the looks of the gaps drawn, one for each seed."""

    @property
    def unsure(self) -> tuple[tuple[Page, Gap], ...]:
        """Pages that may come otherwise, as they are in force or else as they are tried, and the gap they hang on."""
        near = {page: gap for page in (*self.pages.before, *self.pages.after) if (gap := self._near(page))}
        told = {new for old, new in self.pages.kept if old in near}
        return tuple((page, gap) for page, gap in near.items() if page not in told)

    @property
    def elsewhere(self) -> tuple[Gap, ...]:
        """Gaps near no page: one may have come there."""
        used = {gap for page in (*self.pages.before, *self.pages.after) for gap in self.gaps if _touches(gap, page)}
        return tuple(gap for gap in self.gaps if gap not in used)

    def _near(self, page: Page) -> Gap | None:
        return next((gap for gap in self.gaps if _touches(gap, page)), None)


def _touches(gap: Gap, page: Page) -> bool:
    return gap.may_concern(page.component, page.started_at, page.at)


@click.command(
    epilog=example(
        "chatwatch backtest --set shortest_outage=1m --days 30",
        "chatwatch backtest --policy patient --service deepseek",
        "chatwatch backtest --set shortest_outage=10s --days 30 --draw 20",
        "chatwatch backtest --set failure_ratio=0.05 --service deepseek --adopt",
    )
)
@with_config
@click.option("--policy", "name", default=None, help="A policy of the configuration, for every probe.")
@click.option(
    "--set", "changes", multiple=True, metavar="FIELD=VALUE", help="A threshold as in probes.yaml; repeatable."
)
@click.option("--days", type=Number(min=0.01, max=400), default=7.0, show_default=True, help="How far back.")
@click.option("--service", default="", help="Try it on the probes of one service only.")
@click.option(
    "--draw",
    "seeds",
    type=click.IntRange(min=1, max=1000),
    help="Draw the looks that were never made, so many times, from the failure rate recorded around them.",
)
@click.option("--adopt", is_flag=True, help="Write the change into the configuration file, after showing it.")
@click.option("--yes", is_flag=True, help="Adopt without asking.")
@click.option("--json", "as_json", is_flag=True, help="Print the pages as JSON.")
def backtest(
    path: Path,
    name: str | None,
    changes: tuple[str, ...],
    days: float,
    service: str,
    seeds: int | None,
    adopt: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Judge the recorded looks under another policy: pages it would have sent, missed or delayed.

    Silences, maintenance and what people did are left out on both sides. Nothing is recorded and nobody is told.

    A policy that looks earlier or more often than what was recorded would have seen what nobody looked at. Where a page
    may hang on that it is said; with --draw those looks are drawn, seeded, and pages have an interval.

    With --adopt the change is shown as a difference to the file and written, whole or not at all, when you say so. It
    counts from the next start or reload on.
    """
    if name is None and not changes:
        raise click.UsageError("say what to try: --policy NAME or --set FIELD=VALUE")
    if yes and not adopt:
        raise click.UsageError("--yes goes with --adopt")
    base = _named(path, name) if name else None
    adoption = planned_change(path, given_of(changes), name or "", service) if adopt else None
    found = _judged(base, changes, days, service, seeds, adoption)
    if as_json:
        _print_json(found)
    else:
        _print_backtest(found, days)
    if adoption is not None:
        offer(adoption, yes=yes, to_stderr=as_json)


def _judged(
    base: Policy | None,
    changes: Sequence[str],
    days: float,
    service: str,
    seeds: int | None,
    adoption: Adoption | None,
) -> Found:
    from monitor import clock
    from monitor.cli.past.passes import Pass, cores, run
    from monitor.core.review import compared, with_policies
    from monitor.core.unmade import is_paced_anew
    from monitor.runtime.programs import database_url
    from monitor.store import reads

    until = clock.now()
    since = until - timedelta(days=days)
    engine = open_database(read_only=True)
    try:
        catalogue = reads.catalogue(engine)
        tried = _tried(catalogue, base, changes, service)
        if adoption is not None:
            same_as_tried(adoption, tried)
        processes = cores(reads.about(engine, since))
    finally:
        engine.dispose()
    rules = with_policies(catalogue, tried)
    pairs = zip(catalogue.probes, rules.probes, strict=True)
    changed = frozenset(old.id for old, new in pairs if is_paced_anew(old, new))
    sides = Pass(catalogue, since, until), Pass(rules, since, until, changed)
    before, after = run(database_url(), sides, processes, "Judging the looks under both policies")
    if not before.looks:
        raise Failure(f"no looks are kept of the last {days:g} days")
    drawings = _drawn(sides, (before, after), seeds or 0, processes)
    compare = [compared(old.pages, new.pages, before.looks) for old, new in ((before, after), *drawings)]
    return Found(compare[0], (*before.gaps, *after.gaps), after.left_out, compare[1:])


def _drawn(
    sides: tuple[Pass, Pass], seen: tuple[Judged, Judged], seeds: int, processes: int
) -> list[tuple[Judged, Judged]]:
    """Judge each side that has gaps once for each seed, the looks of the gaps drawn."""
    from dataclasses import replace

    from monitor.cli.past.passes import run
    from monitor.core.unmade import Draw
    from monitor.runtime.programs import database_url

    places = [place for place, side in enumerate(seen) if side.gaps]
    if not (seeds and places):
        return []
    numbers = [(seed, place) for seed in range(1, seeds + 1) for place in places]
    passes = [replace(sides[place], draw=Draw(seed, dict(seen[place].told))) for seed, place in numbers]
    results = dict(zip(numbers, run(database_url(), passes, processes, "Drawing what was not looked at"), strict=True))

    def side(seed: int, place: int) -> Judged:
        return results.get((seed, place), seen[place])

    return [(side(seed, 0), side(seed, 1)) for seed in range(1, seeds + 1)]


def _named(path: Path, name: str) -> Policy:
    from monitor.config.faults import did_you_mean

    policies = loaded(path).policies
    if name not in policies:
        raise Failure(f'no policy "{name}" in {path}: {did_you_mean(name, policies)}')
    return policies[name]


def _tried(catalogue: Catalogue, base: Policy | None, changes: Sequence[str], service: str) -> dict[str, Policy]:
    """Return the policy to try for each probe concerned."""
    from monitor.config.models import policy_of
    from monitor.core.components.soundness import policy_faults

    if service and service not in {item.id for item in catalogue.services}:
        raise Failure(f'no service "{service}" is watched')
    entry = entry_of(given_of(changes))
    concerned = [p for p in catalogue.probes if not service or service_of(p.component) == service]
    # A control target follows the default: the file has no place for another policy there.
    tried = {p.id: policy_of(entry, p.policy if base is None or p.control else base) for p in concerned}
    for policy in tried.values():
        if wrong := policy_faults(policy):
            raise Failure(f"this policy cannot work: {wrong[0]}")
    return tried


def _figures(values: Sequence[float]) -> dict[str, float]:
    """Return median and the interval that holds nine of ten drawings (nearest ranks)."""
    ranked = sorted(values)
    last = len(ranked) - 1
    return {"median": ranked[last // 2], "low": ranked[round(0.05 * last)], "high": ranked[round(0.95 * last)]}


def _fates(found: Found) -> Iterator[tuple[Page, list[float]]]:
    """Yield each page in force that is not sure, and how much later it came in the drawings in which it came."""
    for page, _ in found.unsure:
        if page in found.pages.before:
            pairs = (pair for one in found.drawings for pair in one.kept if pair[0] == page)
            yield page, [(new.at - old.at).total_seconds() for old, new in pairs]


def _print_json(found: Found) -> None:
    import json
    from dataclasses import asdict

    pages = found.pages
    shown: dict[str, Any] = {
        "looks": pages.looks,
        "before": [asdict(page) for page in pages.before],
        "after": [asdict(page) for page in pages.after],
        "gone": [asdict(page) for page in pages.gone],
        "new": [asdict(page) for page in pages.new],
        "delay_s": [(new.at - old.at).total_seconds() for old, new in pages.kept],
        "unsure": [asdict(page) for page, _ in found.unsure],
        "gaps": [asdict(gap) for gap in found.gaps],
        "left_out": found.left_out,
        "drawn": None,
    }
    if found.drawings:
        sides = {name: [len(getattr(one, name)) for one in found.drawings] for name in DRAWN}
        shown["drawn"] = {"seeds": len(found.drawings)} | {name: _figures(counts) for name, counts in sides.items()}
        shown["drawn"]["pages"] = [
            {"page": asdict(page), "kept": len(delays), "delay_s": _figures(delays) if delays else None}
            for page, delays in _fates(found)
        ]
    click.echo(json.dumps(shown, indent=2, default=lambda value: value.isoformat()))


DRAWN = ("before", "after", "gone", "new")


def _line(page: Page) -> str:
    return f"{page.at:%Y-%m-%d %H:%M:%S}  {page.rule}  {page.component or page.service or 'ourselves'}"


def _print_backtest(found: Found, days: float) -> None:
    pages = found.pages
    click.echo(f"{number(pages.looks, 'look')} of the last {days:g} day{'' if days == 1 else 's'}")
    click.echo(f"In force  {len(pages.before)} pages")
    click.echo(f"Tried     {len(pages.after)} pages")
    for title, some in (("Would be missed", pages.gone), ("Would be new", pages.new)):
        if some:
            click.secho(title, bold=True)
            click.echo("\n".join(f"  {_line(page)}" for page in some))
    for title, pairs in (("Would come later", pages.delayed), ("Would come sooner", pages.earlier)):
        if pairs:
            click.secho(title, bold=True)
        for old, new in pairs:
            click.echo(f"  {_line(old)}  {(new.at - old.at).total_seconds():+.0f} s")
    same = len(pages.kept) - len(pages.delayed) - len(pages.earlier)
    click.echo(f"{same} pages as they were")
    _print_doubts(found)


def _print_doubts(found: Found) -> None:
    """Say what cannot be known because the looks were never made."""
    if found.left_out:
        click.echo(f"{number(found.left_out, 'early look')} left out: this policy would not have made them")
    if not found.gaps:
        return
    click.secho("Cannot be known, because nobody looked when this policy would have", bold=True)
    for page, gap in found.unsure:
        click.echo(f"  {_line(page)}  not looked at from {gap.since:%H:%M:%S} to {gap.until:%H:%M:%S}")
    if found.elsewhere:
        count = len(found.elsewhere)
        click.echo(f"  whether a page would have come in {count:,} more stretch{'' if count == 1 else 'es'} of time")
    if not found.drawings:
        click.echo("Add --draw 20 to draw those looks from the failure rate recorded around them.")
        return
    click.secho(f"Those looks drawn {len(found.drawings)} times, median and the interval of nine in ten", bold=True)
    for title, name in zip(("In force", "Tried", "Missed", "New"), DRAWN, strict=True):
        figures = _figures([len(getattr(one, name)) for one in found.drawings])
        click.echo(f"  {title:9} {figures['median']} pages ({figures['low']} to {figures['high']})")
    for page, delays in _fates(found):
        came = f"comes in {len(delays)} of {len(found.drawings)}"
        if delays:
            late = _figures(delays)
            came += f", {late['median']:+.0f} s ({late['low']:+.0f} to {late['high']:+.0f})"
        click.echo(f"  {_line(page)}  {came}")
