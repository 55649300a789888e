"""Slack's incoming webhooks, which Mattermost and Rocket.Chat take as well."""

from __future__ import annotations

import json

from pydantic import SecretStr

from monitor.channels.base import Kind, Notice, Options, post, secret
from monitor.channels.words import facts, title
from monitor.clock import now
from monitor.wire import Wire


class Slack(Options):
    """``url`` is the incoming webhook's address: whoever has it can post."""

    url: SecretStr


def escaped(text: str) -> str:
    """Escape the three characters that are markup to Slack, and break its mentions and emphasis."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").translate(_EMPHASIS)


_EMPHASIS = str.maketrans({"*": "∗", "_": "＿", "~": "∼", "`": "ˋ"})


def body(notice: Notice) -> dict[str, object]:
    """Return the message; nothing from outside is ever read as markup, and no link is unfurled."""
    rows = "\n".join(
        f"*{escaped(name)}:* {value if value == notice.url else escaped(value)}" for name, value in facts(notice)
    )
    head = escaped(title(notice))
    return {
        "text": head,
        "unfurl_links": False,
        "unfurl_media": False,
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": f"*{head}*\n{rows}"[:2900], "verbatim": True}}
        ],
    }


async def send(options: Slack, notice: Notice, wire: Wire) -> None:
    """Deliver."""
    await post(wire, secret(options.url), json.dumps(body(notice)).encode(), now=now())


KIND = Kind("slack", Slack, send)
