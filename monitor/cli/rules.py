"""Rules for Prometheus that fit our metrics, and an example for Alertmanager; thresholds come from the configuration.

Chatwatch pages by itself. These rules are the second pair of eyes: they still work when Chatwatch does not.
"""

from __future__ import annotations

from typing import Any

from monitor.config.load import Config

HEAD = """\
# Made by: chatwatch rules
# Alerting and recording rules over the metrics of chatwatch worker (job="chatwatch", honor_labels: true).
"""
SILENT = "90s"
"""A worker that says nothing for longer counts as gone, as on our own pages."""


def prometheus_rules(config: Config) -> str:
    """Return a rules file as YAML."""
    import yaml

    groups = [
        {"name": "chatwatch-recording", "interval": "30s", "rules": _recording()},
        {"name": "chatwatch-services", "rules": _services(config)},
        {"name": "chatwatch-ourselves", "rules": _ourselves()},
    ]
    return HEAD + str(yaml.safe_dump({"groups": groups}, sort_keys=False, width=118))


def _recording() -> list[dict[str, Any]]:
    evidence = 'sum by (service, component) (count_over_time(probe_success{job="chatwatch"}[1h]))'
    good = 'sum by (service, component) (sum_over_time(probe_success{job="chatwatch"}[1h]))'
    return [
        {"record": "component:probe_success:ratio_1h", "expr": f"{good} / {evidence}"},
        {
            "record": "component:chatwatch_probe_ttft_seconds:avg_10m",
            "expr": "avg by (service, component) (avg_over_time(chatwatch_probe_ttft_seconds[10m]))",
        },
    ]


def _alert(name: str, expr: str, wait: str, severity: str, summary: str, description: str) -> dict[str, Any]:
    return {
        "alert": name,
        "expr": expr,
        **({"for": wait} if wait else {}),
        "labels": {"severity": severity},
        "annotations": {"summary": summary, "description": description},
    }


def _services(config: Config) -> list[dict[str, Any]]:
    by, on = "max by (service, component)", "and on (service, component)"
    own = f"({by} (chatwatch_component_maintenance) == 0)"
    # No sample is exported while the health is unknown; a missing sample must not resolve the alert.
    silent = f"({by} (last_over_time(chatwatch_component_health[6h])) >= 2 {on} {by} (chatwatch_component_known) == 0)"
    rules = [
        _alert(
            "ChatwatchComponentDown",
            f"({by} (chatwatch_component_health) >= 2 or {silent}) {on} {own}",
            "1m",
            "page",
            "{{ $labels.component }} is down",
            "Confirmed by Chatwatch's own rules; 2 is a partial and 3 a major outage, {{ $value }} when last known.",
        ),
        _alert(
            "ChatwatchCertificateExpiring",
            "min by (instance, component) (probe_ssl_earliest_cert_expiry) - time() < 14 * 86400",
            "1h",
            "ticket",
            "The certificate of {{ $labels.component }} ends soon",
            "Probe {{ $labels.instance }}: {{ $value | humanizeDuration }} left.",
        ),
    ]
    if any(probe.tells_registration and not probe.disabled for probe in config.catalogue.probes):
        closed = 'chatwatch_registration_state{state=~"restricted|delayed|failing|closed"} == 1'
        rules.append(
            _alert(
                "ChatwatchRegistrationChanged",
                f"max by (service, component, method, state) ({closed})",
                "1m",
                "page",
                "Sign-up by {{ $labels.method }} at {{ $labels.service }} is {{ $labels.state }}",
                "Fewer people than usual can make an account. See the registration card of the status page.",
            )
        )
    return rules


def _ourselves() -> list[dict[str, Any]]:
    return [
        _alert(
            "ChatwatchWorkerDown",
            'up{job="chatwatch"} == 0 or absent(up{job="chatwatch"})',
            "2m",
            "page",
            "A Chatwatch worker cannot be scraped",
            "Nobody may be watching. Look at the worker's log and at /-/healthy.",
        ),
        _alert(
            "ChatwatchProberSilent",
            f"time() - chatwatch_prober_heard_timestamp_seconds > {SILENT.removesuffix('s')}",
            "1m",
            "page",
            "The prober of {{ $labels.instance }} says nothing",
            "No look is made. It has been silent for {{ $value | humanizeDuration }}.",
        ),
        _alert(
            "ChatwatchStoresNothing",
            f"time() - chatwatch_stored_timestamp_seconds > {SILENT.removesuffix('s')}",
            "5m",
            "page",
            "The worker {{ $labels.instance }} cannot store anything",
            "Results wait on disk until the database is back; Chatwatch pages nobody meanwhile.",
        ),
        *_disks(),
        _alert(
            "ChatwatchBlind",
            "chatwatch_blind == 1",
            "5m",
            "page",
            "The worker {{ $labels.instance }} is blind",
            "Independent targets fail alike, so its own network is at fault; what it sees counts for nothing.",
        ),
        _alert(
            "ChatwatchCollectorDown",
            "chatwatch_collector_up == 0",
            "5m",
            "ticket",
            "The metrics of {{ $labels.instance }} are incomplete",
            "The state could not be read from the database, so rules over components are silent.",
        ),
        _alert(
            "ChatwatchLooksMissed",
            "sum by (instance, reason) (increase(chatwatch_missed_total[15m])) > 10",
            "5m",
            "ticket",
            "{{ $labels.instance }} misses looks",
            "{{ $value | humanize }} looks in 15 minutes were not made: {{ $labels.reason }}.",
        ),
    ]


def _disks() -> list[dict[str, Any]]:
    return [
        _alert(
            "ChatwatchDatabaseUnusable",
            "chatwatch_store_fault == 1",
            "",
            "page",
            "The database of {{ $labels.instance }} must not be used: {{ $labels.fault }}",
            "Results wait on disk. /-/ready and the log of the worker say what to do, as chatwatch restore.",
        ),
        _alert(
            "ChatwatchKeepsNothing",
            "chatwatch_spool_up == 0",
            "1m",
            "page",
            "The worker {{ $labels.instance }} can keep results nowhere",
            "Neither database nor disk takes them; they wait in memory, and what is too much is lost. Make room.",
        ),
        _alert(
            "ChatwatchSpoolOverflows",
            "increase(chatwatch_spool_dropped_results_total[15m]) > 0",
            "",
            "ticket",
            "The spool of {{ $labels.instance }} is full",
            "The oldest routine looks were given up, {{ $value | humanize }} in 15 minutes: bring the database back.",
        ),
        _alert(
            "ChatwatchCannotJudge",
            "chatwatch_quarantined_services > 0",
            "5m",
            "ticket",
            "The worker {{ $labels.instance }} cannot judge {{ $value }} services",
            "Their looks are held on disk and tried again; run chatwatch quarantine list.",
        ),
        _alert(
            "ChatwatchLogGrows",
            "chatwatch_database_wal_bytes > 256e6",
            "5m",
            "ticket",
            "The database's log of {{ $labels.instance }} has {{ $value | humanize1024 }}B",
            "A program reads from the database without an end, so the log cannot be folded back. Find it and stop it.",
        ),
    ]


ALERTMANAGER = """\
# Made by: chatwatch rules --alertmanager
# Sends every alert into Chatwatch's review as well. The token is that of CHATWATCH_WEBHOOK_TOKEN on the worker.
route:
  receiver: oncall
  group_by: [alertname, service, component]
  routes:
    - receiver: chatwatch
      continue: true
    - receiver: oncall
      matchers: ['severity=~"page|ticket"']
receivers:
  - name: oncall
  - name: chatwatch
    webhook_configs:
      - url: http://127.0.0.1:8503/api/v2/alerts/webhook
        send_resolved: true
        http_config:
          authorization: {type: Bearer, credentials_file: /etc/chatwatch/webhook-token}
inhibit_rules:
  - source_matchers: [alertname="ChatwatchWorkerDown"]
    target_matchers: ['alertname=~"Chatwatch(ProberSilent|StoresNothing|CollectorDown)"']
    equal: [instance]
"""


def alertmanager_example() -> str:
    """Return an Alertmanager configuration to begin with."""
    return ALERTMANAGER
