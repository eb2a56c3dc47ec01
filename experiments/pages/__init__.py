"""The HTML pages of a run and of several runs compared: one file each, nothing to fetch, nothing to run."""
