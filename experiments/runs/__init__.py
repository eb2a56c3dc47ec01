"""Runs: begin, resume, open, choose from, export."""
