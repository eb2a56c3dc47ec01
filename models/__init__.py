"""Networks as chains of prunable stages: forward, cost, physical pruning, training, storage."""
