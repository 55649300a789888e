"""A change of thresholds written into ``probes.yaml``: planned, spliced into its text, read again before it counts."""
