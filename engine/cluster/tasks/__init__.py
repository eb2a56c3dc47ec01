"""The tasks of a pool: which worker does what, when a task is slow, and which answer belongs to which task."""
