"""A simulated chat vendor over real HTTP, and the scenarios it plays. It serves the tests, the demo and development."""
