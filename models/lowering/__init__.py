"""Ways to compute a 3x3 convolution, and the choice among them by backend and shape."""
