"""PyTorch weights files and the networks that are read from them."""
