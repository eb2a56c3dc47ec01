"""Initial populations from importances: rankings, the largest feasible removal, and founders."""
