"""Errors of the networks, one sentence each; a message names a field in backquotes.

``models`` must not import ``engine``, so the errors have a base of their own. The command line prints them like
:class:`engine.errors.EvopruneError`, and exits with status 2.
"""


class NetworkError(Exception):
    """Base of all errors of a network or its files."""


class ArchitectureError(NetworkError):
    """An architecture is unknown or cannot be built."""


class FactoryError(ArchitectureError):
    """An architecture needs code that the user has not named."""


class StoreError(NetworkError):
    """A model directory or weights file is missing, damaged, or would be overwritten."""


class DeviceError(NetworkError):
    """JAX finds no device, or XLA cannot follow the user's flags."""


class PruningError(NetworkError):
    """A mask does not fit the network, or leaves a layer without filters."""


class CompensationError(NetworkError):
    """Removed filters cannot be compensated by the method asked for."""


class LatencyError(NetworkError):
    """The layers of a network cannot be timed one by one."""


class TrainingError(NetworkError):
    """Training cannot start, or has diverged."""


class ExportError(NetworkError):
    """A network cannot be written in a format, or differs when it is read back."""


class DependencyError(NetworkError):
    """The program of a module cannot be traced or analysed."""
