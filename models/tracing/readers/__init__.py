"""Which weights of a traced program read which channels, how weights are stored, and where constants can go."""
