"""``chatwatch missed``: ticks that nobody came to, since the first look."""

from __future__ import annotations

import json

import click

from monitor.cli.commands import read
from monitor.cli.common import example
from monitor.text.lexicon import lexicon


@click.command(epilog=example("chatwatch missed", "chatwatch missed --json"))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def missed(as_json: bool) -> None:
    """Show what was not looked at, of every probe at every location, since its first look.

    A tick that nobody came to is a result of its own, with its reason. Of a long absence, or after a clock that jumped
    ahead, the newest are written out like that and the older ones kept as a range. Both are counted for ever.
    """
    from monitor.store import reads

    found = read(reads.missed)
    if as_json:
        rows = [
            {
                "probe": view.probe,
                "location": view.location,
                "ticks": view.ticks,
                "reasons": dict(view.reasons),
                "ranges": [
                    {"from": gap.starts_at.isoformat(), "until": gap.ends_at.isoformat(), "ticks": gap.ticks}
                    for gap in view.gaps
                ],
            }
            for view in found
        ]
        click.echo(json.dumps({"missed": rows}, indent=2))
        return
    if not found:
        click.echo("No tick was missed.")
    for view in found:
        reasons = ", ".join(f"{name} {count:,}" for name, count in sorted(view.reasons.items()))
        click.echo(
            f"{view.probe}  {view.location}  {view.ticks:,} ticks" + (f"; one by one: {reasons}" if reasons else "")
        )
        for gap in view.gaps:
            length = lexicon().duration((gap.ends_at - gap.starts_at).total_seconds())
            span = f"{gap.starts_at:%Y-%m-%d %H:%M:%S} to {gap.ends_at:%Y-%m-%d %H:%M:%S} UTC"
            click.echo(f"  {span}  {gap.ticks:,} ticks in {length}")
