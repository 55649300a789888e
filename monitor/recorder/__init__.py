"""The recorder's process: it judges, stores, delivers and serves Prometheus."""
