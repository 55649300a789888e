"""``python -m monitor``: the same as the command ``chatwatch``."""

from monitor.cli import main

main()
