"""Loaded by every Python program that has this folder in PYTHONPATH: SIGUSR1 moves its wall clock ten minutes ahead.

That is what a program sees after the machine slept: the wall clock jumped, the monotonic one stood still.
"""

from __future__ import annotations

import datetime
import os
import signal
import time

import time_machine

ASLEEP_S = float(os.environ.get("CHATWATCH_TEST_ASLEEP_S", "600"))
_clock = time_machine.travel(datetime.datetime.now(datetime.UTC), tick=True)
_traveller = _clock.start()
_traveller.shift(time_machine.escape_hatch.time.time() - time.time())  # starting takes a while, and the clock went on
signal.signal(signal.SIGUSR1, lambda *_: _traveller.shift(ASLEEP_S))
