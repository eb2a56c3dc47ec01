"""Labelled images: named data sets and files of the user's own."""
