"""What importances raise."""

from engine.errors import EvopruneError


class ImportanceError(EvopruneError):
    """An importance cannot be computed for this network or these images."""
