"""The search: Algorithm 2 of the thesis, its operators, populations and stopping rules. Knows no files."""
