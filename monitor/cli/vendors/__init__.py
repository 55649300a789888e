"""``chatwatch vendors``: the presets that come along, and whether what they know still holds."""
