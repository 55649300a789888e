"""``chatwatch demo``: the whole system against the simulated vendor, with an invented past."""
