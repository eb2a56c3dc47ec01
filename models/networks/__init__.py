"""The architectures that can be named, one a file, and their registry."""
