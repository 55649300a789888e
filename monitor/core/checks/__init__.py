"""One probe at one location: from its looks to its state, and whose fault a failure is."""
