"""The recorder's process, apart from the prober's (D2): it judges, stores, delivers and serves Prometheus."""
