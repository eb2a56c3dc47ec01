"""Networks as chains of prunable stages: forward, cost, physical pruning, training, storage."""

from models.xla import mend_sums, refuse_too_little

mend_sums()
refuse_too_little()
