"""Nothing is lost: the spool on disk, its records, the proof that the database keeps, and ticks that nobody saw."""
