"""What other pruning methods reach on the same network and images: the ``baseline`` command."""
