"""Timelines that people can read: played, exported, and compared with what must follow."""
