"""Counting the images that many masked networks get right, in this process or on Ray workers."""
