"""Genetic operators on whole generations: arrays of masks in, arrays of masks out."""
