"""Studies: reproductions of the documents, search quality, fronts, and the methods that only they use."""
