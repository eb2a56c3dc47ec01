"""Errors of the networks. ``models`` knows nothing of ``engine``, so it has a base of its own.

The command line treats them as it treats :class:`engine.errors.EvopruneError`: one sentence, status 2.
"""


class NetworkError(Exception):
    """Base of what can be wrong with a network or its files."""


class ArchitectureError(NetworkError):
    """An architecture that cannot be built, or is not known."""


class FactoryError(ArchitectureError):
    """An architecture made by somebody's code that the user has not named."""


class StoreError(NetworkError):
    """A model directory or weights file is missing, damaged, or would be overwritten."""


class PruningError(NetworkError):
    """A mask that does not fit the network, or leaves a layer without filters."""


class CompensationError(NetworkError):
    """Removed filters cannot be made up for, or not in the way asked for."""


class LatencyError(NetworkError):
    """A network whose layers cannot be timed one by one."""


class TrainingError(NetworkError):
    """Training cannot start, or has diverged."""


class ExportError(NetworkError):
    """A network cannot be written in a format, or is not the same when it is read back."""


class DependencyError(NetworkError):
    """A module whose program cannot be followed."""
