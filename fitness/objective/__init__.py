"""What a search maximises: Algorithm 1 of the thesis, its costs, and several objectives at once."""
