"""A trained model as it is: its layers, its accuracy on images, and whether model and images belong together."""
