"""The prefix tree of many masks: planned, compiled, walked; and what is kept of earlier walks."""
