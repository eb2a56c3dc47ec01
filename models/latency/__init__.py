"""Latency of pruned networks from a table of measured layers, without building them.

Yang et al. 2018, "NetAdapt", arXiv:1804.03230, and Cai et al. 2019, "ProxylessNAS", arXiv:1812.00332: each
stage is timed once at a few widths on the device (:mod:`models.latency.measuring`), and the latency of a
network is the sum over its stages (:mod:`models.latency.table`).
"""
