"""Reports: the table, figures and HTML page of a run, and the comparison of several runs."""
