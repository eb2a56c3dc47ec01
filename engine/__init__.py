"""The search engine: bits and scores, never a network."""
