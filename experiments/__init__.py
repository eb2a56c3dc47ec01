"""The wiring and the user: data sets, command line, reports, experiments."""
