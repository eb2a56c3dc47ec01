"""The command line: the only place that knows how options are spelled."""
