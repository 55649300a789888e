"""The kind ``chat``: ask a model and measure how it answers."""
