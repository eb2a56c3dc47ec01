"""Ways to compute a convolution, and the choice among them by backend and shape."""
