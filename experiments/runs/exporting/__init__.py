"""What leaves a run: BEST, RESULT or a mask that is picked, refitted or not, as a smaller network."""
