"""Stores of a run: a local directory or a URL, written atomically and by one process at a time."""
