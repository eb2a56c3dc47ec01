"""Export formats: each writes a network for other software, and reads it back to check it."""
