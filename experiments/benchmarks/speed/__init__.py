"""Measures the speed of a network and of its pruned form on this device: the ``bench`` command."""
