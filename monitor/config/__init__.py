"""``probes.yaml`` → a frozen configuration, or every fault of the file at once with its line, id and hint.

:mod:`~monitor.config.load` reads it all; :mod:`~monitor.config.settled` is what those need who never read it.
"""
