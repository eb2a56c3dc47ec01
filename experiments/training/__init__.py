"""Networks before and after a search: train, import, evaluate, fine-tune."""
