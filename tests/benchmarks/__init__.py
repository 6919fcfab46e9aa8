# -*- test-case-name: tests.integration.test_benchmarks -*-
"""Measurements, side by side with peers; run by hand, never a test that passes or fails."""
