"""What a run has come to, for people and programs that look on."""
