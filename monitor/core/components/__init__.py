"""From the states of probes to what a visitor knows by name: health, registration, latency, objectives."""
