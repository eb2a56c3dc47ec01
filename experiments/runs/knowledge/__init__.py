"""Knowledge of a run: artifacts that are computed once, before generation 0, and kept in its directory."""
