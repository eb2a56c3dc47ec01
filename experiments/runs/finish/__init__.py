"""The finish of a search: its best candidates are refitted and judged, and one of them is the RESULT."""
