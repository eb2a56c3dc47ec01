"""How each primitive passes labels from its operands to its results; one file a family."""
