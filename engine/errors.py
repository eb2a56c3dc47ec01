"""Errors that evoprune raises on purpose: one clear sentence each, naming what is wrong and the remedy.

The command line prints the sentence without a traceback and ends with status 2.
"""


class EvopruneError(Exception):
    """Base of all errors that a user can mend."""


class OptionError(EvopruneError):
    """An option has a value that cannot be used."""


class DataError(EvopruneError):
    """Images or labels are missing, unreadable or do not fit the network."""


class ModelError(EvopruneError):
    """A model directory or weights file is missing, damaged or of the wrong architecture."""


class MaskError(EvopruneError):
    """A mask has the wrong shape or type, or removes every filter of a layer."""


class RunError(EvopruneError):
    """A run directory is missing, holds a run already, or does not fit what is asked of it."""


class RunStoreError(RunError):
    """The store that a run is kept in cannot be used, reached, read or written."""


class CheckpointError(RunError):
    """A checkpoint is damaged or does not belong to this run."""


class EvaluationError(EvopruneError):
    """The evaluator failed, or answered something that is not one count for each mask."""


class BackendError(EvopruneError):
    """The requested backend is not installed or has no workers to offer."""
