"""Fixtures of the edges."""

from tests.edges.databases import database_url, engine, migrated_file, postgres_server, sqlite_engine

__all__ = ["database_url", "engine", "migrated_file", "postgres_server", "sqlite_engine"]
