"""Benchmarks of the pool and simulations of clusters."""
