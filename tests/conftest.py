"""Property tests take the time they need: a busy machine is no failure."""

from hypothesis import HealthCheck, settings

settings.register_profile("chatwatch", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("chatwatch")
