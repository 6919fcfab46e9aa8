# -*- test-case-name: tests.simulation.test_simulation -*-
"""Small strict models of peers, which share no line with the engine that they talk to."""
