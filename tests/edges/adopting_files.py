"""Shapes that a configuration file may have, for the tests of what is written into it."""

from __future__ import annotations

from pathlib import Path

SHIPPED = (Path(__file__).parents[2] / "probes.yaml").read_text(encoding="utf-8")
ROWS = "services:\n  - preset: deepseek   # one\n  - preset: openai\n"
BOTH = """\
policies:
  # kept
  alone: {shortest_outage: 50s}
  patient:             # two of them
    shortest_outage: 2m   # minutes
    repeat_page: 2h
services:
- preset: deepseek
  policy: alone        # mine
- preset: openai
  policy: patient
- preset: anthropic
  policy: patient
"""
WRITTEN = """\
policies: {default: {recovery_window: 3m}, patient: {shortest_outage: 2m}}
services:
  - id: deepseek
    name: "Deep # Seek"     # in quotes
    components:
      - {id: web, name: Web, policy: patient}
      - id: api
        name: API
    probes:
      - id: page            # a page
        component: web
        kind: tcp
        policy: patient     # its own
        options: {host: a.example, port: 443}
      - {id: port, component: api, kind: tcp, options: {host: a.example, port: 443}}
  - preset: openai
controls:
  - {id: dns, kind: tcp, options: {host: 1.1.1.1, port: 53}}
"""
FILES = {
    "shipped": SHIPPED,
    "no policies": ROWS,
    "no policies, with a head": f"# What we watch.\n\nlocations: [local]\n\n# Whom:\n{ROWS}# the end",
    "policies that are empty": f"policies: {{}}   # none yet\n{ROWS}",
    "a default that is empty": f"policies:\n    default: {{}}   # as it comes\n{ROWS}",
    "one line": "{policies: {patient: {shortest_outage: 2m}}, services: [{preset: deepseek}, {preset: openai}]}",
    "policies without a default": f"policies:\n  patient:\n    shortest_outage: 2m\n\n\n# Whom\n{ROWS}",
    "two that differ": BOTH,
    "written out": WRITTEN,
    "former names": f"policies:\n  default:\n    open_after_failures: 3   # old\n    window_looks: 5\n{ROWS}",
    "former names in another": f"policies:\n  patient: {{open_after_failures: 9, repeat_page: 2h}}\n{ROWS}",
}
