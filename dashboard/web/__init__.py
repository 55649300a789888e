"""The public page as ready bytes: pages, JSON, feeds, and the same as files. Read-only."""
