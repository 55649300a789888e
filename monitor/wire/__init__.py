"""The guarded, timed network under probes and channels: the only room that talks to a socket."""
