"""Operators that know the layers, and some of them an order of importance; each alone in a file."""
