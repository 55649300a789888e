"""Mouth: one file a kind. ``KINDS`` maps the word in ``probes.yaml`` to the kind's options and its ``send``."""

from __future__ import annotations

from monitor.channels import alertmanager, email, slack, webhook
from monitor.channels.base import Kind, Notice, Undeliverable

KINDS: dict[str, Kind] = {
    "alertmanager": Kind(alertmanager.Alertmanager, alertmanager.send),
    "email": Kind(email.Email, email.send),
    "slack": Kind(slack.Slack, slack.send),
    "webhook": Kind(webhook.Webhook, webhook.send),
}

__all__ = ["KINDS", "Notice", "Undeliverable"]
