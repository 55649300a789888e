"""Raw looks, one row each, and their roll-ups."""
