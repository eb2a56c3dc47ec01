"""Where and on what the workers of a pool run."""

import re
from dataclasses import dataclass

from engine.errors import OptionError

CLIENT_SCHEME = "ray://"
_ADDRESS = re.compile(rf"auto|({CLIENT_SCHEME})?([\w.-]+|\[[\da-fA-F:.]+\]):\d{{1,5}}")


@dataclass(frozen=True)
class PoolOptions:
    """Where and on what the workers run.

    ``address``: of a Ray cluster (``auto`` for one that runs here); None starts a private one on this
    machine, which ends with the pool. ``gpus_per_worker`` may be a fraction. ``workers`` is how many to use as
    soon as there is room for them. ``task_timeout``: seconds after which a worker that does not answer is
    taken for hung; None follows how long tasks take. ``runtime_env``: a file that says what a cluster's workers
    run in, instead of what :mod:`engine.shipping` finds they need.

    Raises:
        OptionError: a value out of its range.
    """

    workers: int = 2
    cpus_per_worker: int = 1
    gpus_per_worker: float = 0.0
    address: str | None = None
    task_timeout: float | None = None
    runtime_env: str | None = None

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise OptionError(f"--workers must be 1 or more, not {self.workers}.")
        if self.cpus_per_worker < 1:
            raise OptionError(f"--cpus-per-worker must be 1 or more, not {self.cpus_per_worker}.")
        gpus = self.gpus_per_worker
        if not 0 <= gpus < float("inf") or (gpus > 1 and gpus != int(gpus)):
            raise OptionError(f"--gpus-per-worker must be a fraction up to 1 or a whole number, not {gpus}.")
        if self.task_timeout is not None and not self.task_timeout > 0:
            raise OptionError(f"--task-timeout must be above 0 seconds, not {self.task_timeout:g}.")
        if self.address is not None and not _ADDRESS.fullmatch(self.address):
            raise OptionError(
                f"--address must be auto, HOST:PORT or {CLIENT_SCHEME}HOST:10001, not {self.address!r}; leave it "
                "out for a Ray of its own on this machine."
            )
        if self.runtime_env is not None and self.address is None:
            raise OptionError("--runtime-env is for the nodes of a cluster; give its --address too.")
