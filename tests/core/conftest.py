"""Property tests take the time they need: a busy machine is no failure."""

from hypothesis import settings

settings.register_profile("chatwatch", deadline=None)
settings.load_profile("chatwatch")
