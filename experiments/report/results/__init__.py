"""The results of a run that a report shows: counts, drops, classes, layers, speed, and findings in words."""
