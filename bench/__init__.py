"""Benchmarks and measurements; timing belongs here, not in tests."""
