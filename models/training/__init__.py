"""Training: settings, optimizer, augmentation and the loop."""
