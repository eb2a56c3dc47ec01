"""The HTML pages of a run and of several runs: one file each, without scripts and without anything to fetch."""
