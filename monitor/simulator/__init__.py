"""A simulated chat vendor over real HTTP, and the scenarios it plays. It serves the tests, the demo and development."""

from monitor.simulator.play import run_simulator, serve
from monitor.simulator.scenario import Scenario, ScenarioError, load_scenario, shipped_scenarios
from monitor.simulator.vendor import Vendor

__all__ = ["Scenario", "ScenarioError", "Vendor", "load_scenario", "run_simulator", "serve", "shipped_scenarios"]
