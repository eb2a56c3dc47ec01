"""Errors that evoprune raises on purpose. Each is one sentence that names the fault and the remedy.

The command line prints the sentence without a traceback and ends with status 2.
"""


class EvopruneError(Exception):
    """Base of all errors that a user can fix."""


class OptionError(EvopruneError):
    """An option has an unusable value."""


class DataError(EvopruneError):
    """Images or labels are missing, unreadable or do not fit the network."""


class MaskError(EvopruneError):
    """A mask has the wrong shape or type, or removes every filter of a layer."""


class RunError(EvopruneError):
    """A run directory is missing, damaged, in use, or already holds a run."""


class RunStoreError(RunError):
    """A run's store cannot be reached, read or written."""


class CheckpointError(RunError):
    """A checkpoint is damaged or does not belong to this run."""


class EvaluationError(EvopruneError):
    """The evaluator failed, or broke its contract of one count for each mask."""


class BackendError(EvopruneError):
    """The requested backend is not installed, cannot be reached, or has no workers."""
