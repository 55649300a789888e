"""The public page as ready bytes (D5): pages, JSON, feeds, and the same as files. Read-only."""
