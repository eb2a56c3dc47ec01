"""The kinds of data sources, one a file."""
