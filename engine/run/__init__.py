"""The run directory: description, journal and checkpoints, and checks of all that is read back."""
