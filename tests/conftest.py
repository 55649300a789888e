"""Property tests draw the same cases on every machine; `pytest --hypothesis-profile search` draws new ones.

They take the time they need: a busy machine is no failure.
"""

from hypothesis import HealthCheck, settings

BUSY = [HealthCheck.too_slow]

settings.register_profile("search", deadline=None, suppress_health_check=BUSY)
settings.register_profile("chatwatch", settings.get_profile("search"), derandomize=True)
settings.load_profile("chatwatch")
