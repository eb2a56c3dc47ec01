"""Where and on what the workers of a pool run."""

from dataclasses import dataclass

from engine.errors import OptionError


@dataclass(frozen=True)
class PoolOptions:
    """Where and on what the workers run.

    ``address``: of a Ray cluster (``auto`` for one that runs here); None starts a private one on this
    machine, which ends with the pool. ``gpus_per_worker`` may be a fraction.

    Raises:
        OptionError: a value out of its range.
    """

    workers: int = 2
    cpus_per_worker: int = 1
    gpus_per_worker: float = 0.0
    address: str | None = None

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise OptionError(f"--workers must be 1 or more, not {self.workers}.")
        if self.cpus_per_worker < 1:
            raise OptionError(f"--cpus-per-worker must be 1 or more, not {self.cpus_per_worker}.")
        gpus = self.gpus_per_worker
        if not 0 <= gpus < float("inf") or (gpus > 1 and gpus != int(gpus)):
            raise OptionError(f"--gpus-per-worker must be a fraction up to 1 or a whole number, not {gpus}.")
