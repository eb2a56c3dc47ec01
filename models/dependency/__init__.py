"""Which filters of any Flax NNX module depend on each other, found in its traced program.

The reference is DepGraph (Fang et al. 2023, arXiv:2301.12900), which walks PyTorch's autograd graph; here the
program itself (a jaxpr) says what is added to, concatenated with or multiplied by what.
"""
