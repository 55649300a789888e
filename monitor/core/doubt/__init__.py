"""Is it them, or is it us? What speaks for and against our own side: network, clock and keys."""
