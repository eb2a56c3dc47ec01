"""Benchmarks: each prints ratios of medians, measured in turn in one run. No test asserts a speed."""
