"""Conditions, who is notified of them, and the reason when nobody is."""
