"""The rules (D4). Standard library only; ``now`` is an argument; no input, no output, no logging."""
