"""Chatwatch, headless: probes, rules, memory, delivery and the programs around them."""

__version__ = "0.1.0"
