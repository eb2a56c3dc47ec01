"""Plain loops over masks in PyTorch and JAX, which the evaluator is compared with, and how they are timed."""
