"""Fixtures of the judgement through both stores."""

from tests.edges.databases import postgres_server

__all__ = ["postgres_server"]
