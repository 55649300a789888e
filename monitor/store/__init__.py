"""The database: one engine factory, tables, writes, reads and migrations, over SQLite or PostgreSQL."""
