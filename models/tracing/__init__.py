"""Finds the filters of a Flax NNX module that depend on each other, from its traced program.

The reference is DepGraph (Fang et al. 2023, arXiv:2301.12900), which walks PyTorch's autograd graph. Here the
program itself (a jaxpr) shows which values are added, concatenated or multiplied.
"""
