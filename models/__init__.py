"""Networks as chains of prunable stages: forward, cost, physical pruning, training, storage."""

from models.xla import add_flags, refuse_too_little

add_flags()
refuse_too_little()
