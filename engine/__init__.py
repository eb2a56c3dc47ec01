"""The search engine: searches over masks, and knows no network."""
