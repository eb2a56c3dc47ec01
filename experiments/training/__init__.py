"""Networks before and after a search: train, import, fine-tune."""
