"""Benchmarks: each prints ratios of medians, measured in turn in one run. Nothing here is asserted in tests."""
